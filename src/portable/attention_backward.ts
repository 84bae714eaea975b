// SPDX-License-Identifier: Apache-2.0
/**
 * Attention backward in plain tfjs ops, chunk by chunk, with the weights computed again:
 *
 *     P     = exp(s - logSumExp), 0 where hidden        D = dropout factors, 0 or 1 / (1 - p)
 *     delta = sum over V of doutput * output, minus dlogSumExp
 *     dP    = doutput · valueᵀ
 *     dB    = P * (dP * D - delta)                      gradient of the biased scores, and of a bias
 *     dS    = dB * (1 - (capped / softcap)²)            gradient of scale * query keyᵀ
 *     dquery = scale * dS · key     dkey = dSᵀ · (scale * query)     dvalue = (P * D)ᵀ · doutput
 *
 * Grouped heads: the query heads of a key head are rows of one matrix, so the products that give
 * dkey and dvalue sum over them. Every sum has one order: the same bits each time.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { unpackAttentionInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import { blocksOf } from '../spec/mask.js';
import type { Block } from '../spec/mask.js';
import { chunksOf } from './attention_chunks.js';
import type { Chunk } from './attention_chunks.js';
import { blockTensors, chunkGrad, gradCall } from './attention_grad_call.js';
import type { GradCall, GradTensors } from './attention_grad_call.js';
import { columns, spoil } from './attention_guard.js';
import { dimsOfInputs, gradientsInLayout, operandsPassed } from './attention_operands.js';
import { addRows, rowRange, rowsOfKeys, sumIntoRows, swapHeads } from './attention_rows.js';
import { byKeyHead, byQueryHead, keysOfChunk } from './attention_scores.js';
import { portableKernel } from './portable_kernel.js';

/** dquery [B, H, c, K], dkey [B, G, n, K] and dvalue [B, G, n, V] (and flags) of a chunk. */
function chunkGradients(
  call: GradCall,
  block: Block,
  chunk: Chunk,
  tensors: GradTensors,
): [Tensor, Tensor, Tensor] {
  const { attrs, dims } = call;
  const grad = chunkGrad(call, block, chunk, tensors);
  const rowsOf = (x: Tensor) => byKeyHead(rowRange(x, chunk.i0, chunk.i1), dims);
  const dscores = byKeyHead(grad.dscores, dims);
  const dquery = tf.mul(tf.matMul(dscores, keysOfChunk(tensors.key, chunk)), attrs.scale);
  const dkey = tf.matMul(dscores, rowsOf(tensors.query), true, false);
  const dvalue = tf.matMul(byKeyHead(grad.weights, dims), rowsOf(tensors.doutput), true, false);
  const ofKeys = (x: Tensor) => tf.reshape(x, [dims.batch, dims.kvHeads, ...x.shape.slice(1)]);
  return [byQueryHead(dquery, dims), ofKeys(dkey), ofKeys(dvalue)];
}

/** The three gradients of a block, [B, rows, heads, D]. */
function blockGradients(call: GradCall, block: Block): [Tensor, Tensor, Tensor] {
  const { attrs, dims } = call;
  const { batch, heads, kvHeads, keyDim } = dims;
  const tensors = blockTensors(call, block);
  const dquery: Tensor[] = [];
  let dkey: Tensor | null = null;
  let dvalue: Tensor | null = null;
  for (const chunk of chunksOf(attrs.plan, block, batch * heads)) {
    if (chunk.j0 === chunk.j1) {
      dquery.push(tf.zeros([batch, heads, chunk.i1 - chunk.i0, keyDim]));
      continue;
    }
    const parts = tf.tidy(() => chunkGradients(call, block, chunk, tensors));
    dquery.push(parts[0]);
    dkey = addRows(dkey, parts[1], chunk.j0, block.kLength);
    dvalue = addRows(dvalue, parts[2], chunk.j0, block.kLength);
  }
  return [
    swapHeads(tf.concat(dquery, 2)),
    swapHeads(dkey ?? tf.zeros([batch, kvHeads, block.kLength, keyDim])),
    swapHeads(dvalue ?? tf.zeros([batch, kvHeads, block.kLength, tensors.value.shape[3]!])),
  ];
}

/** Takes the flags off dvalue and makes NaN of the rows that a spoilt one reached. */
function withSpoilt(
  [dquery, dkey, dvalue]: [Tensor, Tensor, Tensor],
  spoilt: Tensor,
  valueDim: number,
): [Tensor, Tensor, Tensor] {
  const flags = columns(dvalue, valueDim + 1, valueDim + 2);
  return [spoil(dquery, spoilt), spoil(dkey, flags), spoil(columns(dvalue, 0, valueDim), flags)];
}

function computeGrad(list: Tensor[], attrs: AttentionAttrs): Tensor[] {
  const inputs = unpackAttentionInputs<AttentionGradInputs<Tensor>>(attrs, list);
  const { batch, queries, keys, kvHeads, keyDim, valueDim } = dimsOfInputs(inputs, attrs);
  if (batch === 0 || queries === 0 || keys === 0) {
    return operandsPassed(inputs, attrs).map((x) => tf.zeros(x.shape));
  }
  const call = gradCall(inputs, attrs);
  const blocks = blocksOf(attrs.plan, queries, keys).filter((block) => block.qLength > 0);
  const results = blocks.map((block) => tf.tidy(() => blockGradients(call, block)));
  const targets = blocks.flatMap((block) => rowsOfKeys(attrs.plan, block, 0, block.kLength));
  const withKeys = results.filter((_, index) => blocks[index]!.kLength > 0);
  const ofKeys = (index: 1 | 2, depth: number) =>
    sumIntoRows(
      withKeys.map((result) => result[index]),
      targets,
      [batch, keys, kvHeads, depth],
    );
  const { spoilt, value: guardedValue } = call.tensors;
  const dquery = tf.concat(
    results.map((result) => result[0]),
    1,
  );
  const gradients: [Tensor, Tensor, Tensor] = [
    dquery,
    ofKeys(1, keyDim),
    ofKeys(2, guardedValue.shape[3]!),
  ];
  return gradientsInLayout(spoilt ? withSpoilt(gradients, spoilt, valueDim) : gradients, attrs);
}

/** MemoryEfficientAttentionGrad for any backend; takes an array of Tensors. */
export const portableAttentionGrad = portableKernel(computeGrad);
