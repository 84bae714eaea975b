// SPDX-License-Identifier: Apache-2.0
/** Cells, rows and tables of reports: CSV and Markdown. */

/** 6 digits are more than any of these figures has; nothing for what is no number. */
export const number = (value: number) =>
  Number.isFinite(value) ? String(Number(value.toPrecision(6))) : '';

const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const csvRow = (cells: readonly string[]) => cells.map(quote).join(',');

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** A Markdown table. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

export function milliseconds(seconds: number): string {
  const value = 1000 * seconds;
  return value.toFixed(value < 1 ? 3 : value < 100 ? 2 : 0);
}

/** What was to be reached, and whether it was. */
export interface Verdict {
  mark: string;
  against: string;
  required: string;
  measured: string;
  /** `within noise`: the median misses it, and a quarter of the rounds reaches it. */
  verdict: 'met' | 'within noise' | 'missed' | 'not measured';
}

export function verdictTable(verdicts: readonly Verdict[]): string[] {
  const rows = verdicts.map((v) => [v.mark, v.against, v.required, v.measured, v.verdict]);
  return table(['mark', 'against', 'required', 'measured', 'verdict'], rows);
}
