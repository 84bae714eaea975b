// SPDX-License-Identifier: Apache-2.0
/** One line on stderr that says what the command is doing: on a terminal only, and gone at the end. */

const CLEAR_LINE = '\r\x1b[2K';

/** Lines that are wrapped could not be cleared. */
function fit(text: string): string {
  const width = (process.stderr.columns || 80) - 1;
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** Shows what is being done now, in place of what was shown before. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE + fit(text));
}

/** Leaves the terminal as it was. */
export function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
}
