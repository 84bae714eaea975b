// SPDX-License-Identifier: Apache-2.0
/**
 * Keras' MultiHeadAttention in float64, as plain loops over its definition, with grouped heads, QK-norm and
 * rotary embedding between the projections and the attention.
 */
import { referenceAttention } from './reference_attention.js';
import { normDefinition } from './reference_qk_norm.js';
import type { QKNormArgs } from '../../src/layers/qk_norm/rules.js';
import { referenceRotary } from './reference_rotary.js';
import type { ReferenceRotary } from './reference_rotary.js';

export interface MultiHeadProblem {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly units: number;
  /** [B, M, C] each. */
  readonly query: ArrayLike<number>;
  readonly key: ArrayLike<number>;
  readonly value: ArrayLike<number>;
  /** In Keras' order: kernel and bias of query, key, value and output; without biases the kernels. */
  readonly weights: readonly Float32Array[];
  readonly useBias: boolean;
  /** Of the norms, if there are any: those of query, then those of key. */
  readonly normWeights?: readonly Float32Array[];
  readonly norm?: QKNormArgs;
  readonly rotary?: ReferenceRotary;
  /** Of the query's row m, and the key's; the row itself. */
  readonly positionOf?: (b: number, m: number) => number;
  readonly scale?: number;
  readonly softcap?: number;
  /** Whether query i of item b may attend key j. */
  readonly mayAttend?: (b: number, i: number, j: number, h: number) => boolean;
}

/** x [rows, channels] times a kernel [channels, columns], plus a bias. */
function product(
  x: ArrayLike<number>,
  kernel: Float32Array,
  bias: Float32Array | undefined,
  columns: number,
): Float64Array {
  const channels = kernel.length / columns;
  const rows = x.length / channels;
  const output = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      let sum = bias ? bias[c]! : 0;
      for (let k = 0; k < channels; k++) sum += x[r * channels + k]! * kernel[k * columns + c]!;
      output[r * columns + c] = sum;
    }
  }
  return output;
}

/** The output, [B, Mq, units]. */
export function referenceMultiHead(p: MultiHeadProblem): Float64Array {
  const step = p.useBias ? 2 : 1;
  const project = (x: ArrayLike<number>, index: number, columns: number) =>
    product(
      x,
      p.weights[index * step]!,
      p.useBias ? p.weights[index * step + 1] : undefined,
      columns,
    );
  const queryShape = [p.batch, p.queries, p.heads, p.keyDim] as const;
  const keyShape = [p.batch, p.keys, p.kvHeads, p.keyDim] as const;
  const half = (p.normWeights?.length ?? 0) / 2;
  const prepared = (
    x: Float64Array,
    shape: readonly [number, number, number, number],
    weights: readonly Float32Array[] | undefined,
  ) => {
    const normed = p.norm ? normDefinition(p.norm, x as never, shape, weights ?? []) : x;
    const positionOf = p.positionOf ?? ((_b: number, m: number) => m);
    return p.rotary ? referenceRotary(normed, shape, positionOf, p.rotary) : normed;
  };
  const visible = new Uint8Array(p.batch * p.heads * p.queries * p.keys);
  for (let at = 0; at < visible.length; at++) {
    const j = at % p.keys;
    const i = Math.floor(at / p.keys) % p.queries;
    const h = Math.floor(at / (p.keys * p.queries)) % p.heads;
    const b = Math.floor(at / (p.keys * p.queries * p.heads));
    visible[at] = !p.mayAttend || p.mayAttend(b, i, j, h) ? 1 : 0;
  }
  const { output } = referenceAttention({
    batch: p.batch,
    queries: p.queries,
    keys: p.keys,
    heads: p.heads,
    kvHeads: p.kvHeads,
    keyDim: p.keyDim,
    valueDim: p.valueDim,
    query: prepared(
      project(p.query, 0, p.heads * p.keyDim),
      queryShape,
      p.normWeights?.slice(0, half),
    ),
    key: prepared(project(p.key, 1, p.kvHeads * p.keyDim), keyShape, p.normWeights?.slice(half)),
    value: project(p.value, 2, p.kvHeads * p.valueDim),
    scale: p.scale ?? 1 / Math.sqrt(p.keyDim),
    ...(p.softcap !== undefined && { softcap: p.softcap }),
    allowed: new Uint8Array(p.queries * p.keys).fill(1),
    visible: { values: visible, shape: [p.batch, p.heads, p.queries, p.keys] },
  });
  return project(output, 3, p.units);
}
