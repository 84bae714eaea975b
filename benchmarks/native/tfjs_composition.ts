// SPDX-License-Identifier: Apache-2.0
/**
 * What a user of plain tfjs writes. Attention gets the layout that suits matMul, [B, H, M, D], and
 * the causal mask as a tensor that is there already, so that it spends nothing on either.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionCase, Case } from './cases.js';
import type { Formula, Operands } from './tfjs_formulas.js';

const EPSILON = 1e-5;
const HEADS_FIRST = [0, 2, 1, 3];

type Tensors = Record<string, Tensor>;

function attention(c: AttentionCase): Formula {
  const scale = 1 / Math.sqrt(c.dim);
  // Of linalg.bandPart, so that no JavaScript array of M x M is made.
  const mask = c.causal
    ? tf.keep(
        tf.tidy(() => {
          const lower = tf.linalg.bandPart(tf.ones([c.queries, c.keys]), -1, 0);
          return tf.mul(tf.sub(1, lower), -1e9);
        }),
      )
    : null;
  return {
    leaves: ['query', 'key', 'value'],
    convert: (x) => tf.transpose(x, HEADS_FIRST),
    toLayout: (x) => tf.transpose(x, HEADS_FIRST),
    forward: (operands: Operands) => {
      const { query, key, value } = operands as Tensors;
      const scores = tf.mul(tf.matMul(query!, key!, false, true), scale);
      return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), value!);
    },
    dispose: () => mask?.dispose(),
  };
}

/** Every group's query heads are the rows of one product, so that no key is copied for them. */
function decoding(c: AttentionCase): Formula {
  const { heads, kvHeads, batch, dim } = c;
  const grouped: [number, number, number, number] = [batch, kvHeads, heads / kvHeads, dim];
  return {
    convert: (x, name) =>
      name === 'query' ? tf.reshape(x, grouped) : tf.tidy(() => tf.transpose(x, HEADS_FIRST)),
    forward: (operands: Operands) => {
      const { query, key, value } = operands as Tensors;
      const scores = tf.mul(tf.matMul(query!, key!, false, true), 1 / Math.sqrt(dim));
      return tf.matMul(tf.softmax(scores), value!);
    },
  };
}

function norm(rms: boolean): Formula {
  return {
    leaves: rms ? ['x', 'gamma'] : ['x', 'gamma', 'beta'],
    forward: (operands: Operands) => {
      const { x, gamma, beta } = operands as Tensors;
      const centred = rms ? x! : tf.sub(x!, tf.mean(x!, -1, true));
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
      return attention(c as AttentionCase);
    case 'decoding':
      return decoding(c as AttentionCase);
    case 'layer norm':
      return norm(false);
    case 'rms norm':
      return norm(true);
    case 'matmul':
      return { forward: ({ a, b }) => tf.matMul(a as Tensor, b as Tensor) };
    default:
      return `no ${c.op}`;
  }
}

export const versions = {};
