// SPDX-License-Identifier: Apache-2.0
/** The grid of benchmarks/native.ts: what is computed, and how much work that is. */

import { isAttention } from '../shared/case.js';
import type * as shared from '../shared/case.js';

/** A provider of results; `copy` and `read` are the machine's own limits. */
export type ProviderName =
  'tfjs-xformers' | 'tfjs' | 'PyTorch' | 'onnxruntime' | 'plain copy' | 'plain read';

interface Choice {
  providers: readonly ProviderName[];
  /** A fresh process each, and one call: for what is judged by its memory. */
  once?: boolean;
}

export type AttentionCase = shared.AttentionCase & Choice;
export type RowCase = shared.RowCase & Choice;
export type Case = AttentionCase | RowCase;

const DTYPES = ['float32', 'bfloat16'] as const;
const MASKS = [false, true] as const;
/** Sequences whose peak memory is taken: linear growth shows. */
const LONG = [16_384, 32_768, 65_536];

/** Only float32 exists in plain tfjs; onnxruntime's CPU kernels of both ops know no bfloat16. */
function peers(dtype: shared.DType): ProviderName[] {
  return dtype === 'float32'
    ? ['tfjs-xformers', 'tfjs', 'PyTorch', 'onnxruntime']
    : ['tfjs-xformers', 'PyTorch'];
}

function attentionCase(
  length: number,
  dim: number,
  dtype: shared.DType,
  causal: boolean,
  mode: shared.Mode,
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
