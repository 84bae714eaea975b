// SPDX-License-Identifier: Apache-2.0
/**
 * The grids of benchmarks/webgpu.ts, from launch-bound to as large as devices bear. A software adapter computes
 * some GFLOP/s, and so it has fewer heads and rows. Within an op cases grow, so that the smaller ones tell
 * what the larger ones would take (feasibility.ts).
 */
import type { DType, Mode } from '../shared/case.js';
import { titleOf } from './cases.js';
import type { AttentionCase, Case, ModelCase, ProviderName, RowCase } from './cases.js';

export type GridName = 'quick' | 'software' | 'hardware';

const MODES = ['forward', 'forward + backward'] as const;
const DTYPES = ['float32', 'bfloat16'] as const;
const ATTENTION: readonly ProviderName[] = ['tfjs-xformers', 'tfjs', 'onnxruntime-web', 'jax-js'];
const WINDOW = 1024;

/** Only ours stores bfloat16; onnxruntime-web has no gradients. */
function chosen(all: readonly ProviderName[], dtype: DType, mode: Mode): ProviderName[] {
  return all.filter((name) => {
    if (dtype === 'bfloat16') return name === 'tfjs-xformers' || name === 'copy kernel';
    return mode === 'forward' || name !== 'onnxruntime-web';
  });
}

type AttentionShape = Omit<AttentionCase, 'op' | 'batch' | 'dtype' | 'mode' | 'providers'>;

const square = (
  heads: number,
  kvHeads: number,
  length: number,
  dim: number,
  mask: { causal: boolean; window?: number },
): AttentionShape => ({ heads, kvHeads, queries: length, keys: length, dim, ...mask });

const FULL = { causal: false };
const CAUSAL = { causal: true };
const WINDOWED = { causal: true, window: WINDOW };

function attention(shape: AttentionShape, dtype: DType, mode: Mode): AttentionCase {
  const providers = chosen(ATTENTION, dtype, mode);
  return { op: 'attention', batch: 1, ...shape, dtype, mode, providers };
}

function decoding(queries: number, keys: number, dtype: DType): AttentionCase {
  const providers = chosen([...ATTENTION, 'copy kernel'], dtype, 'forward');
  const shape = { heads: 32, kvHeads: 8, queries, keys, dim: 128, causal: queries > 1 };
  return { op: 'decoding', batch: 1, ...shape, dtype, mode: 'forward', providers };
}

function norm(
  op: RowCase['op'],
  [rows, columns]: readonly [number, number],
  dtype: DType,
  mode: Mode,
): RowCase {
  const layers = op === 'layer norm' ? (['tf.layers'] as const) : [];
  const all = [...ATTENTION, ...layers, 'copy kernel'] as const;
  const providers = chosen(all, dtype, mode);
  return { op, rows, columns, dtype, mode, providers };
}

function matmul(size: number): RowCase {
  const providers = ['WGSL matmul', 'tfjs', 'jax-js'] as const;
  return { op: 'matmul', rows: size, columns: size, dtype: 'float32', mode: 'forward', providers };
}

/** Plain tfjs first: its results are what ours are compared with. */
function model(layers: number, tokens: number, mode: Mode): ModelCase {
  const size = { layers, tokens, width: 384, heads: 6 };
  return { op: 'model', ...size, dtype: 'float32', mode, providers: ['tfjs', 'tfjs-xformers'] };
}

const bothModes = <T extends Case>(make: (mode: Mode) => T): T[] => MODES.map(make);

const everyDTypeAndMode = <T extends Case>(make: (dtype: DType, mode: Mode) => T): T[] =>
  DTYPES.flatMap((dtype) => MODES.map((mode) => make(dtype, mode)));

const DIMS = [32, 64, 128, 256];
const masksAt = (length: number) => (length > WINDOW ? [FULL, CAUSAL, WINDOWED] : [FULL, CAUSAL]);

interface Span {
  /** Query heads, key/value heads. */
  heads: readonly [number, number];
  dims: readonly number[];
  lengths: readonly number[];
  dtype?: DType;
}

/** All masks and both modes. */
function attentionSpan({ heads, dims, lengths, dtype = 'float32' }: Span): Case[] {
  return dims.flatMap((dim) =>
    lengths.flatMap((length) =>
      masksAt(length).flatMap((mask) =>
        bothModes((mode) => attention(square(...heads, length, dim, mask), dtype, mode)),
      ),
    ),
  );
}

/** One head, causal: its memory is to grow as its length. */
function long(length: number): AttentionCase {
  const shape = square(1, 1, length, 64, CAUSAL);
  return { ...attention(shape, 'float32', 'forward + backward'), providers: ['tfjs-xformers'] };
}

/** Of as many rows as make the number of elements. */
function norms(op: RowCase['op'], columns: readonly number[], elements: number): Case[] {
  return columns.flatMap((length) =>
    everyDTypeAndMode((dtype, mode) =>
      norm(op, [Math.floor(elements / length), length], dtype, mode),
    ),
  );
}

const NORM_COLUMNS = [64, 128, 256, 768, 1024, 2048, 4096, 8192];

/** 1 and 8 queries to 4k and 32k keys. */
function decodings(): Case[] {
  return DTYPES.flatMap((dtype) =>
    [4096, 32_768].flatMap((keys) => [1, 8].map((queries) => decoding(queries, keys, dtype))),
  );
}

function models(): Case[] {
  return [1, 6].flatMap((layers) =>
    [256, 1024, 2048, 4096].flatMap((tokens) => bothModes((mode) => model(layers, tokens, mode))),
  );
}

/** What the marks of software adapters are about: a minute. */
function quickGrid(): Case[] {
  return [
    ...bothModes((mode) => attention(square(4, 4, 512, 64, FULL), 'float32', mode)),
    ...bothModes((mode) => norm('layer norm', [2048, 768], 'float32', mode)),
  ];
}

function softwareGrid(): Case[] {
  const lengths = [128, 512, 2048, 4096, 8192, 16_384];
  const elements = 2 ** 19;
  const more = [
    ...attentionSpan({ heads: [2, 2], dims: DIMS, lengths }),
    ...attentionSpan({ heads: [4, 1], dims: [64, 128], lengths: [128, 512, 2048] }),
    ...attentionSpan({ heads: [2, 2], dims: [64], lengths: [512, 2048], dtype: 'bfloat16' }),
    // Of the longest the bytes alone are counted: a call takes minutes.
    ...[1024, 2048, 4096, 16_384, 65_536].map((length) => long(length)),
    ...decodings(),
    ...norms('layer norm', NORM_COLUMNS, elements),
    ...norms('rms norm', [64, 4096], elements),
    ...norms('add layer norm', [1024], elements),
    matmul(512),
    ...models(),
  ];
  return [...quickGrid(), ...more];
}

function hardwareGrid(): Case[] {
  const lengths = [128, 256, 512, 1024, 2048, 4096, 8192, 16_384];
  const some = { dims: [64, 128], lengths: [512, 2048, 8192] };
  // 64 MiB of float32.
  const elements = 2 ** 24;
  return [
    ...[1024, 2048, 4096].map((size) => matmul(size)),
    ...attentionSpan({ heads: [8, 8], dims: DIMS, lengths }),
    ...attentionSpan({ heads: [8, 2], ...some }),
    ...attentionSpan({ heads: [8, 8], ...some, dtype: 'bfloat16' }),
    ...[16_384, 32_768, 65_536].map((length) => long(length)),
    ...decodings(),
    ...norms('layer norm', NORM_COLUMNS, elements),
    ...norms('rms norm', [64, 128, 4096], elements),
    ...norms('add layer norm', [1024, 4096], elements / 2),
    // Few long rows.
    ...norms('layer norm', [65_536], elements),
    ...norms('layer norm', [65_536], 4 * 65_536),
    ...models(),
  ];
}

/** A grid in the order of the report, each case once. */
export function gridOf(name: GridName): Case[] {
  const make = { quick: quickGrid, software: softwareGrid, hardware: hardwareGrid };
  const byTitle = new Map<string, Case>();
  for (const c of make[name]()) {
    const title = titleOf(c);
    if (!byTitle.has(title)) byTitle.set(title, c);
  }
  return [...byTitle.values()];
}
