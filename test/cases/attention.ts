// SPDX-License-Identifier: Apache-2.0
/** The attention cases: those of test/golden, and more whose reference the tests compute. */
import index from '../golden/index.json' with { type: 'json' };
import type { FloatDType } from '../../src/spec/dtype.js';
import type { MaskDescription } from '../support/reference_mask.js';

export interface AttentionCase {
  readonly name: string;
  /** [B, Mq, Mk, H, G, K, V] */
  readonly dims: readonly number[];
  readonly seed: number;
  readonly dtype: FloatDType;
  readonly attnBias: MaskDescription | null;
  /** null: 1 / sqrt(K). */
  readonly scale: number | null;
  /** The queries are drawn from a normal distribution of this standard deviation. */
  readonly qscale: number;
  /** The query and key rows that the golden file holds; null: all. */
  readonly rows?: readonly number[] | null;
  readonly kvRows?: readonly number[];
  /** Rank of query, key and value; default 4. In rank 5 key and value have axis 3 = 1 where G < H. */
  readonly rank?: 3 | 4 | 5;
  /** For rank 5: the axes G and H/G of the query. */
  readonly groups?: number;
  /** Shape of a tensor given as attnBias, as a code of BHQK with 1 where it is broadcast. */
  readonly biasShape?: string;
  readonly biasKind?: 'float' | 'bool';
  readonly softcap?: number;
  readonly sink?: boolean;
  readonly p?: number;
  readonly outputDtype?: FloatDType;
  /** logSumExp gets a gradient too. */
  readonly dlogSumExp?: boolean;
  /** How the op gets its operands, of rank 4; packed, queries are as many as keys and K is V. */
  readonly layout?: 'BHMK' | 'packed' | undefined;
  readonly saveDtype?: FloatDType;
}

export const goldenAttentionCases = index.attention as unknown as readonly AttentionCase[];

let nextSeed = 40000;
function extra(
  name: string,
  dims: readonly number[],
  options: Partial<AttentionCase> = {},
): AttentionCase {
  nextSeed += 10;
  return {
    name,
    dims,
    seed: nextSeed,
    dtype: 'float32',
    attnBias: null,
    scale: null,
    qscale: 1,
    ...options,
  };
}

const CAUSAL: MaskDescription = { type: 'LowerTriangularMask' };

/** Few queries of many keys, as in decoding: on webgpu the keys are shared out (src/webgpu/wgsl/split.ts). */
const fewQueries: readonly AttentionCase[] = [
  extra('few queries, grouped heads', [2, 1, 300, 6, 2, 32, 32]),
  extra('few queries, seven heads of one key', [1, 4, 150, 7, 1, 31, 31], {
    dtype: 'bfloat16',
    attnBias: { type: 'LowerTriangularFromBottomRightMask' },
  }),
  extra('few queries, a window', [1, 4, 500, 2, 1, 32, 32], {
    attnBias: { type: 'LocalAttentionFromBottomRightMask', windowLeft: 140, windowRight: 2 },
  }),
  extra('few queries: sink, softcap, dropout, bias', [1, 3, 260, 2, 1, 32, 32], {
    sink: true,
    softcap: 3,
    p: 0.2,
    biasShape: 'BHQK',
  }),
  extra('few queries, keys of different lengths', [1, 6, 480, 4, 2, 32, 32], {
    attnBias: {
      type: 'BlockDiagonalCausalWithOffsetPaddedKeysMask',
      qSeqlen: [2, 3, 1],
      kvPadding: 160,
      kvSeqlen: [150, 3, 0],
    },
  }),
  extra('few queries, paged keys', [1, 6, 300, 2, 2, 32, 32], {
    p: 0.3,
    dtype: 'bfloat16',
    attnBias: {
      type: 'PagedBlockDiagonalPaddedKeysMask',
      qSeqlen: [2, 3, 1],
      kvSeqlen: [150, 8, 1],
      blockTables: [
        [7, 1, 2, 9, 4],
        [0, 3, 0, 0, 0],
        [5, 0, 0, 0, 0],
      ],
      pageSize: 30,
    },
  }),
];

/** Head dims repeat those of the golden cases: on webgpu a new one costs new pipelines. */
export const extraAttentionCases: readonly AttentionCase[] = [
  extra('softcap', [1, 20, 28, 2, 2, 32, 32], { softcap: 1.5, qscale: 2 }),
  extra('softcap, causal, bias', [1, 20, 20, 2, 2, 32, 32], {
    softcap: 2,
    attnBias: { type: 'LowerTriangularMaskWithTensorBias', shape: 'BHQK' },
  }),
  extra('sink', [2, 18, 22, 3, 3, 32, 32], { sink: true }),
  extra('sink, grouped heads, causal', [1, 24, 24, 4, 2, 32, 32], { sink: true, attnBias: CAUSAL }),
  extra('sink, queries without keys', [1, 40, 24, 2, 2, 32, 32], {
    sink: true,
    attnBias: { type: 'LowerTriangularFromBottomRightMask' },
  }),
  extra('softcap and sink in bfloat16', [1, 20, 28, 2, 1, 32, 32], {
    softcap: 1.5,
    sink: true,
    dtype: 'bfloat16',
  }),
  extra('dropout', [2, 24, 40, 2, 2, 32, 32], { p: 0.3 }),
  extra('dropout, grouped heads, causal', [1, 33, 33, 4, 2, 32, 32], { p: 0.5, attnBias: CAUSAL }),
  extra('dropout, packed sequences', [1, 18, 18, 2, 2, 32, 32], {
    p: 0.25,
    attnBias: { type: 'BlockDiagonalCausalMask', qSeqlen: [7, 1, 10], kvSeqlen: [7, 1, 10] },
  }),
  extra('dropout in bfloat16', [1, 24, 40, 2, 2, 32, 32], { p: 0.3, dtype: 'bfloat16' }),
  extra('logSumExp has a gradient', [2, 18, 26, 2, 2, 32, 32], { dlogSumExp: true }),
  extra('logSumExp has a gradient: sink, softcap, dropout, bias', [1, 18, 26, 2, 1, 32, 32], {
    dlogSumExp: true,
    sink: true,
    softcap: 3,
    p: 0.2,
    biasShape: 'BHQK',
  }),
  extra('logSumExp has a gradient: queries without keys', [1, 40, 24, 1, 1, 32, 32], {
    dlogSumExp: true,
    attnBias: { type: 'LowerTriangularFromBottomRightMask' },
  }),
  extra('rank 3', [3, 14, 19, 1, 1, 32, 32], { rank: 3 }),
  extra('rank 3, causal, bfloat16', [2, 19, 19, 1, 1, 32, 32], {
    rank: 3,
    attnBias: CAUSAL,
    dtype: 'bfloat16',
  }),
  extra('rank 5, key and value shared in the group', [2, 10, 13, 6, 2, 32, 32], {
    rank: 5,
    groups: 2,
  }),
  extra('rank 5, key and value of each head', [1, 10, 13, 6, 6, 32, 32], { rank: 5, groups: 2 }),
  extra('rank 5, causal, bfloat16', [1, 13, 13, 4, 2, 32, 32], {
    rank: 5,
    groups: 2,
    attnBias: CAUSAL,
    dtype: 'bfloat16',
  }),
  ...['1111', 'B111', '1H11', '1HQK', 'B1QK', 'BH1K', 'BHQ1', 'B11K'].map((biasShape) =>
    extra(`bias ${biasShape}`, [2, 10, 14, 2, 2, 32, 32], { biasShape }),
  ),
  extra('bias BHQK, grouped heads, bfloat16', [2, 10, 14, 4, 2, 32, 32], {
    biasShape: 'BHQK',
    dtype: 'bfloat16',
  }),
  ...['BHQK', 'B11K', '11QK'].map((biasShape) =>
    extra(`bool ${biasShape}`, [2, 10, 14, 2, 2, 32, 32], { biasShape, biasKind: 'bool' }),
  ),
  extra('bool BHQK in bfloat16', [2, 10, 14, 2, 2, 32, 32], {
    biasShape: 'BHQK',
    biasKind: 'bool',
    dtype: 'bfloat16',
  }),
  extra('paged keys', [1, 6, 24, 2, 2, 32, 32], {
    attnBias: {
      type: 'PagedBlockDiagonalPaddedKeysMask',
      qSeqlen: [2, 3, 1],
      kvSeqlen: [5, 8, 1],
      blockTables: [
        [4, 1],
        [0, 3],
        [2, 5],
      ],
      pageSize: 4,
    },
  }),
  extra('paged keys, causal, a page shared by two sequences', [1, 7, 24, 4, 2, 32, 32], {
    attnBias: {
      type: 'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask',
      qSeqlen: [2, 4, 1],
      kvSeqlen: [6, 9, 4],
      blockTables: [
        [5, 1, 0],
        [5, 3, 2],
        [4, 0, 0],
      ],
      pageSize: 4,
    },
  }),
  extra('paged keys, dropout, bfloat16', [1, 6, 24, 2, 2, 32, 32], {
    p: 0.3,
    dtype: 'bfloat16',
    attnBias: {
      type: 'PagedBlockDiagonalPaddedKeysMask',
      qSeqlen: [2, 3, 1],
      kvSeqlen: [5, 8, 1],
      blockTables: [
        [4, 1],
        [0, 3],
        [2, 5],
      ],
      pageSize: 4,
    },
  }),
  ...fewQueries,
  extra('bfloat16 out of float32', [1, 20, 28, 2, 2, 32, 32], { outputDtype: 'bfloat16' }),
  extra('float32 out of bfloat16', [1, 20, 28, 2, 2, 32, 32], {
    dtype: 'bfloat16',
    outputDtype: 'float32',
  }),
  extra('a scale of 0', [1, 10, 14, 2, 2, 32, 32], { scale: 0 }),
  extra('a negative scale', [1, 10, 14, 2, 2, 32, 32], { scale: -0.2 }),
  extra('scores of 1e4', [1, 16, 24, 2, 2, 32, 32], { scale: 1, qscale: 1000 }),
];

/** Multiply-adds of the visible cells, forward and backward, times two. */
export function flopsOf({ dims, attnBias }: AttentionCase): number {
  const [b, mq, mk, h, , k, v] = dims as [number, number, number, number, number, number, number];
  const causal = attnBias?.type.startsWith('LowerTriangular') ? mk / 2 : mk;
  const keys = Math.min(causal, attnBias?.windowSize ?? mk);
  return 3.5 * 2 * b * h * mq * keys * (k + v);
}

/** More than 16 queries of a block, which are not shared out over the keys, in layouts that golden cases have with fewer. */
export const blockCases: readonly AttentionCase[] = [
  extra('blocks of many queries, odd dims', [1, 40, 50, 4, 2, 31, 33], {
    dtype: 'bfloat16',
    attnBias: {
      type: 'BlockDiagonalCausalFromBottomRightMask',
      qSeqlen: [23, 17],
      kvSeqlen: [30, 20],
    },
  }),
  extra('paged keys of many queries, dropout', [1, 38, 60, 4, 2, 32, 32], {
    dtype: 'bfloat16',
    p: 0.3,
    attnBias: {
      type: 'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask',
      qSeqlen: [18, 20],
      kvSeqlen: [29, 26],
      blockTables: [
        [5, 1, 3],
        [2, 0, 4],
      ],
      pageSize: 10,
    },
  }),
];
