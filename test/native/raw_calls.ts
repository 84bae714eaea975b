// SPDX-License-Identifier: Apache-2.0
/** A valid call of each op, small, for tests that make it invalid. */
import { UNBOUNDED } from '../../src/spec/mask.js';
import { bools, floats, vector, words } from './raw_op.js';
import type { RawCall, RawTensor } from './raw_op.js';

const FLOAT = { type: 'TF_FLOAT' } as const;
const INT32 = { type: 'TF_INT32' } as const;

/** A float32 as params have it. */
export const bits = (x: number): number => new Int32Array(Float32Array.of(x).buffer)[0]!;

/** No mask, scale 0.5. */
export const PLAIN = [UNBOUNDED, UNBOUNDED, 0, 7, 0, bits(1), bits(0.5), 0, 0, 0, 0];

/** 5 queries in 2 blocks over 8 keys. */
export const BLOCKS = [...PLAIN.slice(0, 8), 2, 0, 0, 0, 2, 5, 0, 4, 4, 3];

/** The same over 4 pages of 2 keys. */
export const PAGES = [
  ...[...PLAIN.slice(0, 8), 2, 2, 4, 0, 2, 5, 0, 0, 3, 4],
  ...[0, 2],
  ...[3, 1, 0, 2],
];

export const B = 2;
export const MQ = 5;
export const MK = 8;
const [H, G, K, V] = [4, 2, 6, 3];

/** Attention of float32 or packed bfloat16; batch 1 goes with blocks. */
export function attention(params: number[] = PLAIN, batch = B, packed = false): RawCall {
  const T = packed ? INT32 : FLOAT;
  const of = (length: number, heads: number, size: number): RawTensor =>
    packed ? words(batch, length, heads, (size + 1) >> 1) : floats(batch, length, heads, size);
  return {
    op: 'TfxfAttentionV1',
    attributes: {
      ...{ T, Toutput: T, Tbias: FLOAT },
      ...{ Nbias: { int: 0 }, Nsink: { int: 0 }, key_dim: { int: K }, value_dim: { int: V } },
    },
    inputs: {
      query: of(MQ, H, K),
      key: of(MK, G, K),
      value: of(MK, G, V),
      params: vector(...params),
    },
    outputs: 2,
  };
}

/** The same with a bias and a sink. */
export function biasedAttention(kind: 'float' | 'bool' = 'float'): RawCall {
  const call = attention();
  const { query, key, value, params } = call.inputs as Record<string, RawTensor>;
  const bias = (kind === 'bool' ? bools : floats)(B, 1, MQ, MK);
  return {
    ...call,
    attributes: {
      ...call.attributes,
      ...{ Nbias: { int: 1 }, Nsink: { int: 1 } },
      Tbias: { type: kind === 'bool' ? 'TF_BOOL' : 'TF_FLOAT' },
    },
    inputs: { query: query!, key: key!, value: value!, bias, sink: floats(H), params: params! },
  };
}

/** A gradient op on the inputs of a forward call. */
export function gradientOf(forward: RawCall, op: string, outputs: number): RawCall {
  const { params, ...inputs } = forward.inputs;
  const batch = inputs['query']!.shape[0]!;
  const packed = inputs['query']!.values instanceof Int32Array;
  return {
    op,
    attributes: { ...forward.attributes, Ndlse: { int: 1 } },
    inputs: {
      ...inputs,
      doutput: floats(batch, MQ, H, V),
      output: packed ? words(batch, MQ, H, (V + 1) >> 1) : floats(batch, MQ, H, V),
      log_sum_exp: floats(batch, H, MQ),
      dlog_sum_exp: floats(batch, H, MQ),
      params: params!,
    },
    outputs,
  };
}

const ROWS = 7;
const COLUMNS = 9;

export function norm(): RawCall {
  return {
    op: 'TfxfFusedNormV1',
    attributes: {
      ...{ Tx: FLOAT, Tresidual: FLOAT, Tgamma: FLOAT, Tbeta: FLOAT, Toutput: FLOAT },
      ...{ Nresidual: { int: 1 }, Ngamma: { int: 1 }, Nbeta: { int: 1 } },
      ...{ columns: { int: COLUMNS }, rms: { bool: false } },
      ...{ epsilon: { float: 1e-5 }, weight_offset: { float: 0 } },
    },
    inputs: {
      x: floats(ROWS, COLUMNS),
      residual: floats(ROWS, COLUMNS),
      gamma: floats(COLUMNS),
      beta: floats(COLUMNS),
    },
    outputs: 3,
  };
}

export function normGradient(): RawCall {
  return {
    op: 'TfxfFusedNormGradV1',
    attributes: {
      ...{ Tx: FLOAT, Tgamma: FLOAT },
      ...{ Ngamma: { int: 1 }, Ndsum: { int: 1 }, Nbeta: { int: 1 } },
      ...{ columns: { int: COLUMNS }, rms: { bool: false }, weight_offset: { float: 0 } },
    },
    inputs: {
      dy: floats(ROWS, COLUMNS),
      x: floats(ROWS, COLUMNS),
      stats: floats(ROWS, 2),
      gamma: floats(COLUMNS),
      dsum: floats(ROWS, COLUMNS),
    },
    outputs: 3,
  };
}

export function pack(): RawCall {
  return { op: 'TfxfBFloat16PackV1', attributes: {}, inputs: { x: floats(3, 5) }, outputs: 1 };
}

export function unpack(): RawCall {
  return {
    op: 'TfxfBFloat16UnpackV1',
    attributes: { columns: { int: 5 } },
    inputs: { x: words(3, 3) },
    outputs: 1,
  };
}

/** One of each op, and of each kind of params. */
export function validCalls(): RawCall[] {
  const biased = biasedAttention();
  return [
    ...[attention(), attention(BLOCKS, 1), attention(PAGES, 1), attention(PLAIN, B, true)],
    ...[biased, biasedAttention('bool')],
    gradientOf(attention(BLOCKS, 1), 'TfxfAttentionGradV1', 3),
    gradientOf(attention(PAGES, 1, true), 'TfxfAttentionGradV1', 3),
    gradientOf(biased, 'TfxfAttentionBiasGradV1', 1),
    gradientOf(biased, 'TfxfAttentionSinkGradV1', 1),
    ...[norm(), normGradient(), pack(), unpack()],
  ];
}
