// SPDX-License-Identifier: Apache-2.0
/** Numbers and lists as people write them. */

/** "16,384" */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three figures, without zeros that say nothing: "1.5", "72", "982". */
function short(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** "982 MB" */
export function byteWords(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${short(value)} ${units[unit]}`;
}

/** "0.42 ms", "31 ms", "1.5 s" */
export function timeWords(milliseconds: number): string {
  if (milliseconds >= 999.5) return `${short(milliseconds / 1000)} s`;
  return `${milliseconds >= 10 ? Math.round(milliseconds) : milliseconds.toPrecision(2)} ms`;
}

/** "WebGPU, WebGL and the processor" */
export function listWords(words: readonly string[], last = 'and'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** "1 step", "1,200 steps" */
export function countWords(count: number, one: string, more = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : more}`;
}

/** What an error says, without the name of its class and without a full stop: it stands within sentences. */
export function reasonOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return words.replace(/\.$/, '');
}
