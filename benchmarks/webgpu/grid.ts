// SPDX-License-Identifier: Apache-2.0
/**
 * The grids of benchmarks/webgpu.ts. A software adapter computes some GFLOP/s, and so its cases are small;
 * the hardware's go from launch-bound to as large as most devices bear. Within an op they grow, so that the
 * smaller ones tell what the larger ones would take (feasibility.ts).
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

/** What the marks of software adapters are about: a minute, onnxruntime-web's compiling left out. */
function quickGrid(): Case[] {
  return [
    ...bothModes((mode) => attention(square(4, 4, 512, 64, FULL), 'float32', mode)),
    ...bothModes((mode) => norm('layer norm', [2048, 768], 'float32', mode)),
  ];
}

/** SwiftShader takes a minute to compile each of onnxruntime-web's attention kernels: one is enough. */
function withoutOnnxruntime(c: Case): Case {
  if (c.op !== 'attention') return c;
  return { ...c, providers: c.providers.filter((name) => name !== 'onnxruntime-web') };
}

function softwareGrid(): Case[] {
  return [...quickGrid(), ...moreOnSoftware().map(withoutOnnxruntime)];
}

function moreOnSoftware(): Case[] {
  return [
    ...bothModes((mode) => attention(square(4, 4, 512, 64, FULL), 'bfloat16', mode)),
    ...[128, 512].flatMap((length) =>
      bothModes((mode) => attention(square(4, 4, length, 64, CAUSAL), 'float32', mode)),
    ),
    ...[32, 128, 256].flatMap((dim) =>
      bothModes((mode) => attention(square(2, 2, 256, dim, CAUSAL), 'float32', mode)),
    ),
    ...bothModes((mode) => attention(square(4, 1, 256, 64, CAUSAL), 'float32', mode)),
    ...bothModes((mode) => attention(square(1, 1, 2048, 64, WINDOWED), 'float32', mode)),
    decoding(1, 4096, 'float32'),
    decoding(8, 4096, 'float32'),
    decoding(1, 4096, 'bfloat16'),
    ...everyDTypeAndMode((dtype, mode) => norm('layer norm', [16_384, 64], dtype, mode)),
    ...everyDTypeAndMode((dtype, mode) => norm('layer norm', [192, 8192], dtype, mode)),
    ...bothModes((mode) => norm('rms norm', [16_384, 64], 'float32', mode)),
    ...bothModes((mode) => norm('add layer norm', [2048, 768], 'float32', mode)),
    matmul(512),
    ...[1024, 2048, 4096].map((length) => long(length)),
    ...bothModes((mode) => model(1, 256, mode)),
    ...bothModes((mode) => model(6, 128, mode)),
    model(1, 2048, 'forward + backward'),
  ];
}

/** One head, causal: its memory is to grow as its length. */
function long(length: number): AttentionCase {
  const shape = square(1, 1, length, 64, CAUSAL);
  return { ...attention(shape, 'float32', 'forward + backward'), providers: ['tfjs-xformers'] };
}

/** Rows of 64 to 8192, as many of them as make 64 MiB of float32. */
const NORM_COLUMNS = [64, 128, 256, 768, 1024, 2048, 4096, 8192];
const rowsOf = (columns: number) => Math.floor(2 ** 24 / columns);

function hardwareAttention(): Case[] {
  const cases: Case[] = [];
  for (const dim of [32, 64, 128, 256]) {
    for (const length of [128, 256, 512, 1024, 2048, 4096, 8192, 16_384]) {
      const masks = length > WINDOW ? [FULL, CAUSAL, WINDOWED] : [FULL, CAUSAL];
      for (const mask of masks) {
        cases.push(
          ...bothModes((mode) => attention(square(8, 8, length, dim, mask), 'float32', mode)),
        );
      }
    }
  }
  for (const dim of [64, 128]) {
    for (const length of [512, 2048, 8192]) {
      cases.push(
        ...bothModes((mode) => attention(square(8, 2, length, dim, CAUSAL), 'float32', mode)),
        ...bothModes((mode) => attention(square(8, 8, length, dim, FULL), 'bfloat16', mode)),
        ...bothModes((mode) => attention(square(8, 8, length, dim, CAUSAL), 'bfloat16', mode)),
      );
    }
  }
  return cases;
}

function hardwareGrid(): Case[] {
  return [
    ...[1024, 2048, 4096].map((size) => matmul(size)),
    ...hardwareAttention(),
    ...[16_384, 32_768, 65_536].map((length) => long(length)),
    ...DTYPES.flatMap((dtype) =>
      [4096, 32_768].flatMap((keys) => [1, 8].map((queries) => decoding(queries, keys, dtype))),
    ),
    ...NORM_COLUMNS.flatMap((columns) =>
      everyDTypeAndMode((dtype, mode) =>
        norm('layer norm', [rowsOf(columns), columns], dtype, mode),
      ),
    ),
    ...[64, 128, 4096].flatMap((columns) =>
      everyDTypeAndMode((dtype, mode) => norm('rms norm', [rowsOf(columns), columns], dtype, mode)),
    ),
    ...[1024, 4096].flatMap((columns) =>
      everyDTypeAndMode((dtype, mode) =>
        norm('add layer norm', [rowsOf(columns) / 2, columns], dtype, mode),
      ),
    ),
    ...[1, 6].flatMap((layers) =>
      [256, 1024, 2048, 4096].flatMap((tokens) => bothModes((mode) => model(layers, tokens, mode))),
    ),
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
