// SPDX-License-Identifier: Apache-2.0
/**
 * What a user of plain tfjs writes. Attention gets the layout that suits matMul, [B, H, M, D], and
 * the causal mask as a tensor that is there already, so that it spends nothing on either.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionCase, Case } from './case.js';
import type { Formula, Operands } from './tfjs_formulas.js';

const EPSILON = 1e-5;
const HEADS_FIRST = [0, 2, 1, 3];

type Tensors = Record<string, Tensor>;

/** 0 where a query sees a key, else -1e9: [queries, keys], made on the device. */
function additiveMask({ queries, keys, window }: AttentionCase): Tensor {
  const last = tf.reshape(tf.range(keys - queries, keys, 1, 'int32'), [queries, 1]);
  const key = tf.range(0, keys, 1, 'int32');
  const isPast = tf.lessEqual(key, last);
  const isNear = window === undefined ? isPast : tf.greater(key, tf.sub(last, window));
  return tf.mul(tf.cast(tf.logicalNot(tf.logicalAnd(isPast, isNear)), 'float32'), -1e9);
}

/**
 * A group's query heads are the rows of one product, so that no key is copied for them:
 * [B, M, H, D] becomes [B, G, H/G * M, D].
 */
function attention(c: AttentionCase): Formula {
  const { batch, heads, kvHeads, queries, dim } = c;
  const group = heads / kvHeads;
  const scale = 1 / Math.sqrt(dim);
  const mask = c.causal ? tf.tidy(() => tf.tile(additiveMask(c), [group, 1])) : null;
  const toHeads = (x: Tensor, name: string) => {
    const headsFirst = tf.transpose(x, HEADS_FIRST);
    const isKey = name === 'key' || name === 'value';
    return isKey ? headsFirst : tf.reshape(headsFirst, [batch, kvHeads, group * queries, dim]);
  };
  return {
    leaves: ['query', 'key', 'value'],
    convert: (x, name) => tf.tidy(() => toHeads(x, name)),
    toLayout: (x) => {
      const isQuery = x.shape[2] === group * queries && x.shape[1] === kvHeads;
      const headsFirst = isQuery ? tf.reshape(x, [batch, heads, queries, dim]) : x;
      return tf.transpose(headsFirst, HEADS_FIRST);
    },
    forward: (operands: Operands) => {
      const { query, key, value } = operands as Tensors;
      const scores = tf.mul(tf.matMul(query!, key!, false, true), scale);
      return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), value!);
    },
    dispose: () => mask?.dispose(),
  };
}

function norm(op: 'layer norm' | 'rms norm' | 'add layer norm'): Formula {
  const rms = op === 'rms norm';
  const adds = op === 'add layer norm';
  return {
    leaves: ['x', ...(adds ? ['residual'] : []), 'gamma', ...(rms ? [] : ['beta'])],
    forward: (operands: Operands) => {
      const { x, residual, gamma, beta } = operands as Tensors;
      const sum = adds ? tf.add(x!, residual!) : x!;
      const centred = rms ? sum : tf.sub(sum, tf.mean(sum, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      const normed = tf.mul(centred, tf.rsqrt(tf.add(variance, EPSILON)));
      const scaled = tf.mul(normed, gamma!);
      return rms ? scaled : tf.add(scaled, beta!);
    },
  };
}

export function formulas(c: Case): Formula | string {
  if (c.dtype === 'bfloat16') return 'no bfloat16';
  switch (c.op) {
    case 'attention':
    case 'decoding':
      return attention(c as AttentionCase);
    case 'layer norm':
    case 'rms norm':
    case 'add layer norm':
      return norm(c.op);
    case 'matmul':
      return { forward: ({ a, b }) => tf.matMul(a as Tensor, b as Tensor) };
    default:
      return `no ${c.op}`;
  }
}
