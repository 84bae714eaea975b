// SPDX-License-Identifier: Apache-2.0
/** The report of `tfjs-xformers bench`: a table for each backend. */
import type { BackendBench, BenchReport } from './bench.js';
import type { BackendFacts } from './notes.js';
import type { Figures, OpFigures } from './op.js';

const HEAD = ['', 'forward', 'forward+backward', 'memory', 'rms error', 'max error'];

function milliseconds(time: number): string {
  if (time >= 100) return `${time.toFixed(0)} ms`;
  return `${time.toFixed(time < 10 ? 2 : 1)} ms`;
}

function bytes(count: number): string {
  const megabytes = count / 1e6;
  return `${megabytes.toFixed(megabytes < 10 ? 2 : 1)} MB`;
}

/** A figure, and how many times less than plain tfjs' it is. */
function withRatio(own: number, plain: number | null, isPlain: boolean, format: typeof bytes) {
  const ratio = isPlain || !plain || own <= 0 ? '' : `${(plain / own).toFixed(1)}×`;
  return `${format(own)} ${ratio.padStart(6)}`;
}

function cells(own: Figures, plain: Figures): string[] {
  if (own.forward === null) return [own.name, own.failure ?? 'not measured'];
  const isPlain = own === plain;
  const ratio = (key: 'forward' | 'forwardBackward' | 'workingBytes', format: typeof bytes) =>
    withRatio(own[key]!, plain[key], isPlain, format);
  return [
    own.name,
    ratio('forward', milliseconds),
    ratio('forwardBackward', milliseconds),
    ratio('workingBytes', bytes),
    own.accuracy!.rmsError.toExponential(1),
    own.accuracy!.maxError.toExponential(1),
  ];
}

/** The accuracy of what is made on the way, in a row of its own. */
function partRows(part: string | undefined, candidates: readonly Figures[]): string[][] {
  const told = candidates.flatMap(({ name, partAccuracy }) =>
    partAccuracy ? [`${name} ${partAccuracy.rmsError.toExponential(1)}`] : [],
  );
  return told.length === 0 ? [] : [[part!, `rms error: ${told.join(', ')}`]];
}

/** Columns are as wide as the table needs; a row of two cells is a remark over all of them. */
function tableLines(ops: readonly OpFigures[]): string[] {
  const blocks = ops.map(({ title, shape, candidates, part }) => ({
    title: `${title} ${shape}`,
    rows: [
      ...candidates.map((candidate) => cells(candidate, candidates.at(-1)!)),
      ...partRows(part, candidates),
    ],
  }));
  const all = [HEAD, ...blocks.flatMap(({ rows }) => rows)].filter((row) => row.length > 2);
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = ([first, ...rest]: string[]) =>
    `    ${first!.padEnd(Math.max(widths[0]!, 20))}  ` +
    (rest.length === 1
      ? rest[0]!
      : rest.map((cell, i) => cell.padStart(widths[i + 1]!)).join('  '));
  const head = HEAD.map((title, i) => (i >= 1 && i <= 3 ? `${title}       ` : title));
  return [
    line(head).trimEnd(),
    ...blocks.flatMap(({ title, rows }) => [
      `  ${title}`,
      ...rows.map((row) => line(row).trimEnd()),
    ]),
  ];
}

function factsOf(facts: BackendFacts): string {
  const { tensorflow, native, adapter, software } = facts;
  const parts = [`${facts.package} ${facts.version ?? ''}`.trimEnd()];
  if (tensorflow) {
    parts.push(`TensorFlow ${tensorflow.version} on the ${tensorflow.usesGpu ? 'GPU' : 'CPU'}`);
  }
  if (adapter !== undefined) parts.push(adapter);
  if (software) parts.push('a software adapter: the processor does the work');
  if (facts.kernels === 'portable') parts.push('this package runs as tfjs ops, in chunks');
  else parts.push(native ? `native kernels (${native})` : 'fused kernels');
  return parts.join('; ');
}

function backendLines({ backend, facts, ops, failure }: BackendBench): string[] {
  return [
    '',
    facts ? `${backend}: ${factsOf(facts)}` : backend,
    ...(ops.length > 0 ? tableLines(ops) : []),
    ...(failure === null
      ? []
      : [`  ${ops.length > 0 ? 'ended early' : 'not measured'}: ${failure}`]),
  ];
}

const LEGEND = [
  '',
  'Times are medians. N× is how many times less than plain tfjs that is, in time or in memory:',
  'more is better, and below 1.0× plain tfjs is better. Memory is the peak of forward and backward',
  'beyond the inputs, of GPU buffers on webgpu and of tensors elsewhere. Errors are those of the',
  'output against float64; output and gradients are compared with plain tfjs before they are timed.',
];

/** A package that is missing, and what brings the backend for which it is needed. */
const BRINGS: readonly (readonly [string, string])[] = [
  ['@tensorflow/tfjs-backend-cpu', '@tensorflow/tfjs'],
  ['@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs @tensorflow/tfjs-backend-wasm'],
  ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node'],
  // Either of the two may be missing.
  ['webgpu', '@tensorflow/tfjs-backend-webgpu webgpu'],
  ['@tensorflow/tfjs-backend-webgpu', '@tensorflow/tfjs-backend-webgpu webgpu'],
];

/** The lines of the report. */
export function benchLines(report: BenchReport): string[] {
  const { version, node, platform, processor, backends, notInstalled } = report;
  const nothing = [
    '',
    'None of the tfjs backends to measure is installed here. Each of these lines brings one:',
    ...new Set(
      BRINGS.filter(([name]) => notInstalled.includes(name)).map(
        ([, packages]) => `  npm install ${packages}`,
      ),
    ),
  ];
  return [
    `tfjs-xformers ${version}, Node ${node}, ${platform}`,
    processor,
    ...(backends.length === 0 ? nothing : backends.flatMap(backendLines)),
    ...(backends.some(({ ops }) => ops.length > 0) ? LEGEND : []),
    ...(backends.length > 0 && notInstalled.length > 0
      ? ['', `Not installed, so not measured: ${notInstalled.join(', ')}.`]
      : []),
  ];
}
