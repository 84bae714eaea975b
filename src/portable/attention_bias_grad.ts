// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of a tensor bias and of the sink logits in plain tfjs ops.
 *
 *     dbias   = P * (dP * D - delta), summed over the axes in which the bias is broadcast
 *     dsink_h = -(sum over b and i of exp(sink_h - logSumExp) * delta)
 *
 * attention_backward.ts has the letters. A bias [.., Mq, Mk] needs a gradient of its own size; of a
 * broadcast one nothing larger than a chunk is made.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { unpackAttentionInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import { blocksOf } from '../spec/mask.js';
import type { Block } from '../spec/mask.js';
import { blockTensors, chunkGrad, gradCall, rowSums } from './attention_grad_call.js';
import type { GradCall, GradTensors } from './attention_grad_call.js';
import { chunksOf } from './attention_chunks.js';
import type { Chunk } from './attention_chunks.js';
import { spoil } from './attention_guard.js';
import { rowRange } from './attention_rows.js';
import { isNegativeInfinity } from './attention_visibility.js';
import { portableKernel } from './portable_kernel.js';

/** A chunk's share of dbias: axes 0, 1 and 3 as in the bias; axis 2 its rows, or 1. */
function biasPart(
  call: GradCall,
  block: Block,
  chunk: Chunk,
  tensors: GradTensors,
  shape: number[],
): Tensor {
  const rows = shape[2] === 1 ? 1 : chunk.i1 - chunk.i0;
  if (chunk.j0 === chunk.j1) return tf.zeros([shape[0]!, shape[1]!, rows, shape[3]!]);
  const { dbiased } = chunkGrad(call, block, chunk, tensors);
  const marked = spoil(dbiased, rowRange(tensors.spoilt!, chunk.i0, chunk.i1));
  const broadcast = [0, 1, 2, 3].filter((axis) => shape[axis] === 1);
  const summed = tf.sum(marked, broadcast, true);
  if (shape[3] === 1) return summed;
  return tf.pad(summed, [
    [0, 0],
    [0, 0],
    [0, 0],
    [chunk.j0, call.dims.keys - chunk.j1],
  ]);
}

function computeBiasGrad(list: Tensor[], attrs: AttentionAttrs): Tensor {
  const inputs = unpackAttentionInputs<AttentionGradInputs<Tensor>>(attrs, list);
  const { shape } = inputs.bias!;
  if (inputs.query.size === 0 || inputs.key.size === 0) return tf.zeros(shape);
  const call = gradCall(inputs, attrs);
  const { batch, heads, queries, keys } = call.dims;
  const block = blocksOf(attrs.plan, queries, keys)[0]!;
  const tensors = blockTensors(call, block);
  const parts = chunksOf(attrs.plan, block, batch * heads).map((chunk) =>
    tf.tidy(() => biasPart(call, block, chunk, tensors, shape)),
  );
  return shape[2] === 1 ? parts.reduce((total, part) => tf.add(total, part)) : tf.concat(parts, 2);
}

function computeSinkGrad(list: Tensor[], attrs: AttentionAttrs): Tensor {
  const inputs = unpackAttentionInputs<AttentionGradInputs<Tensor>>(attrs, list);
  if (inputs.query.size === 0) return tf.zeros(inputs.sink!.shape);
  const sink = tf.reshape(inputs.sink!, [1, 1, -1, 1]);
  const { logSumExp, delta } = rowSums(inputs, attrs);
  const dead = isNegativeInfinity(logSumExp);
  const zero = tf.zerosLike(logSumExp);
  const weight = tf.exp(tf.sub(sink, tf.where(dead, zero, logSumExp)));
  return tf.neg(tf.sum(tf.where(dead, zero, tf.mul(weight, delta)), [0, 1, 3]));
}

/** MemoryEfficientAttentionBiasGrad for any backend; takes an array of Tensors. */
export const portableAttentionBiasGrad = portableKernel(computeBiasGrad);
/** MemoryEfficientAttentionSinkGrad for any backend; takes an array of Tensors. */
export const portableAttentionSinkGrad = portableKernel(computeSinkGrad);
