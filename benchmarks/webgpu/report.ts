// SPDX-License-Identifier: Apache-2.0
/** The results of benchmarks/webgpu.ts as CSV, one row for a case and provider, and as Markdown. */
import { median, quantile } from '../shared/statistics.js';
import { csvRow, milliseconds, number, table, verdictTable } from '../shared/table.js';
import type { Verdict } from '../shared/table.js';
import { bytesOf, flopOf, isModel, maskOf, shapeOf, titleOf } from './cases.js';
import type { Case, ProviderName } from './cases.js';
import type { Result } from './measure.js';
import { backwardResults, isTimed, rateOf } from './results.js';
import type { Clock } from './results.js';

export interface Report {
  results: readonly Result[];
  verdicts: readonly Verdict[];
  heading: Record<string, string>;
  clock: Clock;
  /** What makes it again. */
  commands: readonly string[];
  /** Whether onnxruntime-web was left out because this adapter is software: it has a table of its own. */
  leavesOutPeer: boolean;
}

const HEADER = [
  ...['op', 'provider', 'mode', 'shape', 'dtype', 'mask', 'device', 'where', 'rounds'],
  ...['median_s', 'p20_s', 'p80_s', 'gpu_s', 'first_s', 'compile_s', 'bytes', 'GFLOP/s', 'GB/s'],
  ...['tokens/s', 'max_error', 'peak_bytes', 'dispatches', 'failure', 'date', 'versions'],
];

const MEBIBYTE = 2 ** 20;

function row(result: Result, { heading, clock }: Report, versions: string): string {
  const { case: c, provider, rounds } = result;
  const timed = isTimed(result);
  const at = (q: number) => (timed ? number(quantile(rounds, q)) : '');
  const flop = flopOf(c);
  const rate = timed ? rateOf(result, clock) / 1e9 : NaN;
  const tokens = isModel(c) && timed ? c.tokens / median(rounds) : NaN;
  return csvRow([
    ...[c.op, provider, c.mode, shapeOf(c), c.dtype, maskOf(c)],
    ...[heading['adapter'] ?? '', heading['where'] ?? '', String(rounds.length)],
    ...[at(0.5), at(0.2), at(0.8), number(timed ? result.gpuSeconds : NaN)],
    ...[number(result.firstSeconds), number(result.compileSeconds), number(bytesOf(c) || NaN)],
    ...[flop ? number(rate) : '', flop ? '' : number(rate), number(tokens)],
    ...[number(result.maxError), number(result.peakBytes), number(result.dispatches)],
    ...[result.failure, heading['date'] ?? '', versions],
  ]);
}

export function csv(report: Report): string {
  const versions = Object.entries(report.heading)
    .filter(([, value]) => /^\d+\.\d+\.\d+/.test(value))
    .map(([name, version]) => `${name} ${version}`)
    .join('; ');
  const all = [...report.results, ...backwardResults(report.results)];
  return [HEADER.join(','), ...all.map((r) => row(r, report, versions))].join('\n') + '\n';
}

function mebibytes(bytes: number): string {
  const value = bytes / MEBIBYTE;
  return `${value.toFixed(value < 10 ? 1 : 0)} MiB`;
}

/** Median, the fifths around it, time on the GPU, rate, memory, dispatches. */
export function figure(result: Result, clock: Clock): string {
  const { case: c, rounds, failure, gpuSeconds } = result;
  const memory = Number.isFinite(result.peakBytes) ? `; ${mebibytes(result.peakBytes)}` : '';
  const dispatches = isModel(c) ? `; ${result.dispatches} dispatches` : '';
  if (!isTimed(result)) {
    if (!failure.startsWith('skipped')) return 'none';
    return memory ? `not run${memory}${dispatches}` : 'skipped';
  }
  const [low, middle, high] = [0.2, 0.5, 0.8].map((q) => milliseconds(quantile(rounds, q)));
  const spread = rounds.length > 1 ? ` (${low}–${high})` : '';
  const onGpu = clock === 'GPU' && gpuSeconds > 0 ? `, GPU ${milliseconds(gpuSeconds)}` : '';
  const rate = rateOf(result, clock) / 1e9;
  const speed = isModel(c)
    ? `${number(Math.round(c.tokens / median(rounds)))} tokens/s`
    : `${rate.toFixed(rate < 100 ? 1 : 0)} ${flopOf(c) ? 'GFLOP/s' : 'GB/s'}`;
  return `${middle}${spread}${onGpu}; ${speed}${memory}${dispatches}`;
}

/** One table of an op and mode: a row for each case, a column for each provider. */
function section(title: string, results: readonly Result[], clock: Clock): string[] {
  const titles = [...new Set(results.map(({ case: c }) => titleOf(c)))];
  const providers = [...new Set(results.map(({ provider }) => provider))];
  const find = (caseTitle: string, provider: ProviderName) =>
    results.find((r) => titleOf(r.case) === caseTitle && r.provider === provider);
  const rows = titles.map((caseTitle) => {
    const c: Case = results.find((r) => titleOf(r.case) === caseTitle)!.case;
    const cells = providers.map((provider) => {
      const result = find(caseTitle, provider);
      return result ? figure(result, clock) : '';
    });
    return [[shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' '), ...cells];
  });
  return [`## ${title}`, '', ...table(['case', ...providers], rows), ''];
}

/** Why some providers are not even asked. */
function emptyColumns({ leavesOutPeer }: Report): string[] {
  const of = 'on software adapters it has a table of its own, of a device without subgroups';
  return [
    '- Cells that are empty: nobody but tfjs-xformers stores bfloat16, and onnxruntime-web has no gradients.',
    ...(leavesOutPeer ? [`- onnxruntime-web was not asked for (--providers): ${of}.`] : []),
  ];
}

/** Why figures are missing: a reason, and what it goes for. */
function missing(report: Report): string[] {
  const cells = new Map<string, string[]>();
  for (const { provider, case: c, failure } of report.results) {
    if (!failure) continue;
    const reason = `${provider}: ${failure.replaceAll('|', '\\|')}`;
    cells.set(reason, [...(cells.get(reason) ?? []), titleOf(c)]);
  }
  const lines = [...cells].map(([reason, titles]) => {
    const rest = titles.length > 3 ? ` and ${titles.length - 3} more` : '';
    return `- ${reason} (${titles.slice(0, 3).join('; ')}${rest})`;
  });
  return ['## Missing', '', ...emptyColumns(report), ...lines, ''];
}

export function markdown(report: Report): string {
  const { results, verdicts, heading, clock, commands } = report;
  const kindOf = ({ case: c }: Result) => `${c.op}, ${c.mode}`;
  const all = [...results, ...backwardResults(results)].sort(
    (a, b) =>
      results.findIndex((r) => r.case.op === a.case.op) -
      results.findIndex((r) => r.case.op === b.case.op),
  );
  const kinds = [...new Set(all.map(kindOf))];
  const rates = clock === 'GPU' ? 'time on the GPU' : 'wall time';
  return [
    `# WebGPU: tfjs-xformers and its peers on ${heading['adapter'] ?? 'an unknown adapter'}`,
    '',
    ...table(['', ''], Object.entries(heading)),
    '',
    `Made with ${commands.map((command) => `\`${command}\``).join(', ')}.`,
    'Times are milliseconds of one call: the median of the rounds, and in',
    'brackets the 20th and 80th of 100 parts. All providers take turns on one device, and each result was',
    `compared with a float64 reference before it was timed. Rates are of the ${rates}. Work counts as in`,
    'the kernels that need least of it: visible pairs only, inputs read once, outputs written once. Bytes',
    'are those of all buffers that a call holds at its peak, operands included. Backward is the difference',
    'of the other two modes.',
    '',
    '## Marks',
    '',
    `A ratio is of ${rates}; the figure of a mark is its worst cell's.`,
    '',
    ...verdictTable(verdicts),
    '',
    ...kinds.flatMap((kind) =>
      section(
        kind,
        all.filter((result) => kindOf(result) === kind),
        clock,
      ),
    ),
    ...missing(report),
  ].join('\n');
}
