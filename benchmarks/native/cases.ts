// SPDX-License-Identifier: Apache-2.0
/** The grid of benchmarks/native.ts: what is computed, and how much work that is. */

/** A provider of results; `copy` and `read` are the machine's own limits. */
export type ProviderName =
  'tfjs-xformers' | 'tfjs' | 'PyTorch' | 'onnxruntime' | 'plain copy' | 'plain read';

export type Mode = 'forward' | 'forward + backward';
export type DType = 'float32' | 'bfloat16';

interface Common {
  mode: Mode;
  dtype: DType;
  providers: readonly ProviderName[];
  /** A fresh process each, and one call: for what is judged by its memory. */
  once?: boolean;
}

/** `decoding` is attention of one query, whose limit is the reading of keys and values. */
export interface AttentionCase extends Common {
  op: 'attention' | 'decoding';
  batch: number;
  heads: number;
  kvHeads: number;
  queries: number;
  keys: number;
  dim: number;
  causal: boolean;
}

export interface RowCase extends Common {
  op: 'layer norm' | 'rms norm' | 'bf16 pack' | 'matmul';
  rows: number;
  columns: number;
}

export type Case = AttentionCase | RowCase;

export function isAttention(c: Case): c is AttentionCase {
  return c.op === 'attention' || c.op === 'decoding';
}

const DTYPES = ['float32', 'bfloat16'] as const;
const MASKS = [false, true] as const;
/** Sequences whose peak memory is taken: linear growth shows. */
const LONG = [16_384, 32_768, 65_536];

/** Only float32 exists in plain tfjs; onnxruntime's CPU kernels of both ops know no bfloat16. */
function peers(dtype: DType): ProviderName[] {
  return dtype === 'float32'
    ? ['tfjs-xformers', 'tfjs', 'PyTorch', 'onnxruntime']
    : ['tfjs-xformers', 'PyTorch'];
}

function attentionCase(
  length: number,
  dim: number,
  dtype: DType,
  causal: boolean,
  mode: Mode,
  providers: readonly ProviderName[],
): AttentionCase {
  const heads = { batch: 1, heads: 8, kvHeads: 8 };
  return {
    op: 'attention',
    ...heads,
    queries: length,
    keys: length,
    dim,
    dtype,
    causal,
    mode,
    providers,
  };
}

function* attentionCases(): Generator<AttentionCase> {
  for (const dtype of DTYPES) {
    for (const dim of [64, 128]) {
      for (const length of [512, 1024, 4096]) {
        for (const causal of MASKS) {
          yield attentionCase(length, dim, dtype, causal, 'forward', peers(dtype));
        }
      }
    }
  }
  for (const dtype of DTYPES) {
    const providers = peers(dtype).filter((name) => name !== 'onnxruntime');
    for (const dim of [64, 128]) {
      for (const length of [1024, 4096]) {
        for (const causal of MASKS) {
          yield attentionCase(length, dim, dtype, causal, 'forward + backward', providers);
        }
      }
    }
  }
}

function* decodingCases(): Generator<AttentionCase> {
  for (const dtype of DTYPES) {
    yield {
      op: 'decoding',
      batch: 1,
      heads: 32,
      kvHeads: 8,
      queries: 1,
      keys: 4096,
      dim: 128,
      causal: false,
      mode: 'forward',
      dtype,
      providers: [...peers(dtype), 'plain copy', 'plain read'],
    };
  }
}

/** Rows of 64 to 8192, as many of them as make 16 MB of float32. The first is the one of the marks. */
const ROWS = [
  [4096, 1024],
  [65_536, 64],
  [16_384, 256],
  [512, 8192],
] as const;

function* normCases(): Generator<RowCase> {
  for (const op of ['layer norm', 'rms norm'] as const) {
    for (const mode of ['forward', 'forward + backward'] as const) {
      for (const dtype of DTYPES) {
        for (const [rows, columns] of ROWS) {
          const providers = peers(dtype).filter(
            (name) => name !== 'onnxruntime' || (op === 'layer norm' && mode === 'forward'),
          );
          yield { op, mode, dtype, rows, columns, providers: [...providers, 'plain copy'] };
        }
      }
    }
  }
}

/** All cases, in the order of the report. */
export function allCases(): Case[] {
  const [rows, columns] = ROWS[0];
  return [
    ...attentionCases(),
    ...decodingCases(),
    ...normCases(),
    {
      op: 'bf16 pack',
      mode: 'forward',
      dtype: 'float32',
      rows,
      columns,
      providers: ['tfjs-xformers', 'PyTorch', 'plain copy'],
    },
    ...DTYPES.map((dtype) => ({
      op: 'matmul' as const,
      mode: 'forward' as const,
      dtype,
      rows: 2048,
      columns: 2048,
      providers: dtype === 'float32' ? (['tfjs', 'PyTorch'] as const) : (['PyTorch'] as const),
    })),
    ...LONG.map((length) => ({
      ...attentionCase(length, 64, 'float32', true, 'forward', ['tfjs-xformers', 'PyTorch']),
      once: true,
    })),
  ];
}

/** Those of `--quick`: one of each kind, in seconds instead of minutes. */
export function isQuick(c: Case): boolean {
  if (c.once) return false;
  if (c.op === 'decoding') return true;
  if (c.mode !== 'forward' && c.dtype === 'bfloat16') return false;
  if (isAttention(c)) return c.dim === 64 && c.queries === 1024 && c.causal;
  return c.op === 'layer norm' && c.rows === ROWS[0][0];
}

export function shapeOf(c: Case): string {
  if (!isAttention(c)) return `${c.rows}x${c.columns}`;
  if (c.op === 'decoding') {
    return `B${c.batch} H${c.heads}/${c.kvHeads} Mq${c.queries} Mk${c.keys} D${c.dim}`;
  }
  return `B${c.batch} H${c.heads} M${c.queries} D${c.dim}`;
}

export function maskOf(c: Case): string {
  return isAttention(c) ? (c.causal ? 'causal' : 'full') : '';
}

/** What `--only` searches. */
export function titleOf(c: Case): string {
  return [c.op, c.mode, shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' ');
}

/** Bytes that cannot be avoided: inputs read once, outputs written once, in the case's dtype. */
export function bytesOf(c: Case): number {
  const size = c.dtype === 'bfloat16' ? 2 : 4;
  if (!isAttention(c)) {
    if (c.op === 'bf16 pack') return 6 * c.rows * c.columns;
    const tensors = c.op === 'matmul' ? 3 : c.mode === 'forward' ? 2 : 5;
    return tensors * size * c.rows * c.columns;
  }
  const query = c.batch * c.queries * c.heads * c.dim;
  const key = c.batch * c.keys * c.kvHeads * c.dim;
  return size * (c.mode === 'forward' ? 2 * query + 2 * key : 6 * query + 6 * key);
}

/**
 * Operations: 4 B H (visible pairs) D forward, 2.5 times that backward. 0 for what memory limits,
 * which is judged by its bytes.
 */
export function flopOf(c: Case): number {
  if (c.op === 'matmul') return 2 * c.rows * c.columns * c.columns;
  if (!isAttention(c) || c.op === 'decoding') return 0;
  const pairs = c.causal ? (c.queries * (c.queries + 1)) / 2 : c.queries * c.keys;
  return (c.mode === 'forward' ? 4 : 14) * c.batch * c.heads * pairs * c.dim;
}
