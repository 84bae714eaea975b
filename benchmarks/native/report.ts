// SPDX-License-Identifier: Apache-2.0
/** The results of benchmarks/native.ts as CSV, one row for a case and provider, and as Markdown. */
import { bytesOf, flopOf, maskOf, shapeOf } from '../shared/case.js';
import { quantile } from '../shared/statistics.js';
import { csvRow, milliseconds, number, table, verdictTable } from '../shared/table.js';
import type { Verdict } from '../shared/table.js';
import type { Case, ProviderName } from './cases.js';
import { medianOf } from './measure.js';
import type { Result } from './measure.js';

type Heading = Record<string, string>;

const HEADER = [
  ...['op', 'provider', 'mode', 'shape', 'dtype', 'mask', 'device', 'threads', 'rounds'],
  ...['median_s', 'p20_s', 'p80_s', 'min_s', 'max_s', 'bytes', 'GFLOP/s', 'GB/s', 'max_error'],
  ...['peak_bytes', 'faults', 'disturbance', 'failure', 'date', 'versions'],
];

function row(result: Result, machine: Heading, threads: number, versions: string): string {
  const { case: c, provider, rounds } = result;
  const at = (q: number) => (rounds.length ? number(quantile(rounds, q)) : '');
  const rate = (work: number) =>
    rounds.length && work ? number(work / medianOf(result) / 1e9) : '';
  return csvRow([
    ...[c.op, provider, c.mode, shapeOf(c), c.dtype, maskOf(c), machine['CPU']!],
    ...[String(threads), String(rounds.length), ...[0.5, 0.2, 0.8, 0, 1].map(at)],
    ...[String(bytesOf(c)), rate(flopOf(c)), rate(bytesOf(c)), number(result.maxError)],
    ...[number(result.peakBytes), result.faults.length ? number(quantile(result.faults, 0.5)) : ''],
    ...[number(result.disturbance), result.failure, machine['date']!, versions],
  ]);
}

export function csv(
  results: readonly Result[],
  machine: Heading,
  threads: number,
  versions: Heading,
) {
  const together = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join('; ');
  return (
    [HEADER.join(','), ...results.map((r) => row(r, machine, threads, together))].join('\n') + '\n'
  );
}

/** Median, the fifths around it, and the rate. */
export function figure(result: Result | undefined): string {
  if (!result) return '';
  if (result.rounds.length === 0) return result.failure.startsWith('absent') ? 'absent' : 'failed';
  const [low, middle, high] = [0.2, 0.5, 0.8].map((q) => quantile(result.rounds, q));
  const flop = flopOf(result.case);
  const rate = (flop || bytesOf(result.case)) / middle! / 1e9;
  const unit = flop ? 'GFLOP/s' : 'GB/s';
  const memory = result.case.once ? `, peak ${(result.peakBytes / 2 ** 30).toFixed(2)} GiB` : '';
  const spread = `${milliseconds(low!)}–${milliseconds(high!)}`;
  return `${milliseconds(middle!)} (${spread}); ${rate.toFixed(rate < 100 ? 1 : 0)} ${unit}${memory}`;
}

/** One table of an op and mode: a row for each case, a column for each provider. */
function section(title: string, results: readonly Result[]): string[] {
  const cases = [...new Set(results.map(({ case: c }) => c))];
  const providers = [...new Set(results.map(({ provider }) => provider))];
  const cellOf = (c: Case, provider: ProviderName) =>
    figure(results.find((result) => result.case === c && result.provider === provider));
  const rows = cases.map((c) => [
    [shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' '),
    ...providers.map((provider) => cellOf(c, provider)),
  ]);
  return [`## ${title}`, '', ...table(['case', ...providers], rows), ''];
}

/** Why a figure is missing. */
function failures(results: readonly Result[]): string[] {
  const reasons = new Set(
    results
      .filter(({ failure }) => failure)
      .map(({ provider, case: c, failure }) =>
        failure.startsWith('absent')
          ? `- ${provider}: ${failure}`
          : `- ${provider}, ${c.op} ${c.mode} ${shapeOf(c)} ${c.dtype} ${maskOf(c)}: ${failure}`,
      ),
  );
  return reasons.size ? ['## Missing', '', ...reasons, ''] : [];
}

export function markdown(
  results: readonly Result[],
  verdicts: readonly Verdict[],
  heading: Heading,
  command: string,
): string {
  const titleOf = ({ case: c }: Result) => `${c.op}, ${c.mode}`;
  const titles = [...new Set(results.map(titleOf))];
  const sections = titles.flatMap((title) =>
    section(
      title,
      results.filter((result) => titleOf(result) === title),
    ),
  );
  return [
    '# Native kernels and their peers on the CPU',
    '',
    ...table(['', ''], Object.entries(heading)),
    '',
    `Made with \`${command}\`. Times are milliseconds of one call: the median of the rounds, and in`,
    'brackets the 20th and 80th of 100 parts. All providers take turns in every round, each in a process',
    'of its own, and each result was compared with a float64 reference before it was timed. Work counts',
    'as in the kernels that need least of it: visible pairs only, inputs read once, outputs written once.',
    '',
    '## Marks',
    '',
    'A ratio is the speed of tfjs-xformers over that of the fastest peer named, the median of the rounds',
    '(in brackets its quartiles).',
    '',
    ...verdictTable(verdicts),
    '',
    ...sections,
    ...failures(results),
  ].join('\n');
}
