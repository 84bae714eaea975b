// SPDX-License-Identifier: Apache-2.0
/**
 * Attention forward in plain tfjs ops. A chunk of queries sees all of its keys at once, so softmax
 * is the usual one:
 *
 *     m = max over the visible keys and the sink      w = exp(s - m), 0 where hidden
 *     l = sum of w, plus exp(sink - m)
 *     output = (w, with dropout) · value / l          logSumExp = m + log(l)
 *
 * Memory: one chunk's scores a few times over, and outputs; nothing of Mq x Mk.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { unpackAttentionInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import { outputShape } from '../spec/attention_layout.js';
import { blocksOf } from '../spec/mask.js';
import type { Block } from '../spec/mask.js';
import { chunksOf } from './attention_chunks.js';
import type { Chunk } from './attention_chunks.js';
import { columns, finitePart, flagSpoilt, spoil } from './attention_guard.js';
import { dimsOfInputs, wideOperands } from './attention_operands.js';
import { keysOfBlock, queriesOfBlock, rowRange, swapHeads } from './attention_rows.js';
import {
  byKeyHead,
  byQueryHead,
  chunkScores,
  dropoutFactors,
  hideWeights,
  keysOfChunk,
} from './attention_scores.js';
import type { AttentionCall } from './attention_scores.js';
import { hidesKeys } from './attention_visibility.js';
import { narrow, portableKernel } from './portable_kernel.js';

interface Operands {
  /** Scaled. */
  query: Tensor;
  key: Tensor;
  /** With a column of flags after the values where keys can be hidden: see attention_guard.ts. */
  value: Tensor;
}

/** Output [B, H, c, V] (and flags) and logSumExp [B, H, c, 1]. */
type Result = [output: Tensor, logSumExp: Tensor];

function attendChunk(call: AttentionCall, block: Block, chunk: Chunk, tensors: Operands): Result {
  const { dims, attrs, sink } = call;
  const rows = chunk.i1 - chunk.i0;
  if (chunk.j0 === chunk.j1) {
    const leading = [dims.batch, dims.heads, rows];
    return [tf.zeros([...leading, tensors.value.shape[3]!]), tf.fill([...leading, 1], -Infinity)];
  }
  const { weights, m, alive } = chunkWeights(call, block, chunk, tensors);
  const keySum = tf.sum(weights, 3, true);
  const total = sink ? tf.add(keySum, tf.exp(tf.sub(sink, m))) : keySum;
  const dropped = attrs.p ? tf.mul(weights, dropoutFactors(call, block, chunk)) : weights;
  const sums = tf.matMul(byKeyHead(dropped, dims), keysOfChunk(tensors.value, chunk));
  const output = tf.div(byQueryHead(sums, dims), total);
  const logSumExp = tf.add(m, tf.log(total));
  if (!alive) return [output, logSumExp];
  // A row without visible key has no sum to divide by, and a logSumExp that no arithmetic gives.
  return [
    tf.where(alive, output, tf.zerosLike(output)),
    tf.where(alive, logSumExp, tf.fill(logSumExp.shape, -Infinity)),
  ];
}

/** exp(s - m), 0 where hidden; m [B, H, c, 1] is the largest visible score or the sink. */
function chunkWeights(
  call: AttentionCall,
  block: Block,
  chunk: Chunk,
  tensors: Operands,
): { weights: Tensor; m: Tensor; alive: Tensor | null } {
  const [weights, m, alive] = tf.tidy(() => {
    const query = byKeyHead(rowRange(tensors.query, chunk.i0, chunk.i1), call.dims);
    const key = keysOfChunk(tensors.key, chunk);
    const scores = chunkScores(call, block, chunk, query, key);
    const highest = tf.max(scores.masked, 3, true);
    const visibleMax = scores.alive
      ? tf.where(scores.alive, highest, tf.zerosLike(highest))
      : highest;
    const m = call.sink ? tf.maximum(visibleMax, call.sink) : visibleMax;
    const weights = hideWeights(tf.exp(tf.sub(scores.masked, m)), scores.visible, call);
    return scores.alive ? [weights, m, scores.alive] : [weights, m];
  }) as [Tensor, Tensor, Tensor | undefined];
  return { weights, m, alive: alive ?? null };
}

/** Output [B, H, q, V] and logSumExp [B, H, q, 1] of the queries of a block. */
function attendBlock(call: AttentionCall, block: Block, tensors: Operands): Result {
  const chunks = chunksOf(call.attrs.plan, block, call.dims.batch * call.dims.heads);
  const results = chunks.map((chunk) => tf.tidy(() => attendChunk(call, block, chunk, tensors)));
  return concatResults(results);
}

function concatResults(results: Result[]): Result {
  const outputs = results.map(([output]) => output);
  const logSumExps = results.map(([, logSumExp]) => logSumExp);
  return [tf.concat(outputs, 2), tf.concat(logSumExps, 2)];
}

function computeAttention(list: Tensor[], attrs: AttentionAttrs): Tensor[] {
  const inputs = unpackAttentionInputs<AttentionInputs<Tensor>>(attrs, list);
  const dims = dimsOfInputs(inputs, attrs);
  const { batch, queries, keys, heads, valueDim } = dims;
  if (batch === 0 || queries === 0 || keys === 0) {
    const output = tf.zeros(outputShape(attrs.layout, dims));
    return [narrow(output, attrs.outputDtype), tf.fill([batch, heads, queries], -Infinity)];
  }
  const sink = inputs.sink && tf.reshape(inputs.sink, [1, heads, 1, 1]);
  const call: AttentionCall = { attrs, dims, bias: inputs.bias, sink };
  const operands = operandsOf(inputs, attrs);
  const results = blocksOf(attrs.plan, queries, keys)
    .filter((block) => block.qLength > 0)
    .map((block) =>
      tf.tidy(() =>
        attendBlock(call, block, {
          query: queriesOfBlock(operands.query, block),
          key: keysOfBlock(operands.key, attrs.plan, block),
          value: keysOfBlock(operands.value, attrs.plan, block),
        }),
      ),
    );
  const [output, logSumExp] = withSpoilt(concatResults(results), valueDim);
  return [
    narrow(attrs.layout === 'BHMK' ? output : swapHeads(output), attrs.outputDtype),
    tf.reshape(logSumExp, [batch, heads, queries]),
  ];
}

function operandsOf(inputs: AttentionInputs<Tensor>, attrs: AttentionAttrs): Operands {
  const { query: unscaled, key, value } = wideOperands(inputs, attrs);
  const query = tf.mul(unscaled, attrs.scale);
  if (!hidesKeys(attrs)) return { query, key, value };
  const flags = flagSpoilt(key, value);
  return { query, key: finitePart(key), value: tf.concat([finitePart(value), flags], 3) };
}

/** Takes the column of flags off, if there is one, and makes NaN of the rows that it marks. */
function withSpoilt([output, logSumExp]: Result, valueDim: number): Result {
  if (output.shape[3] === valueDim) return [output, logSumExp];
  const flags = columns(output, valueDim, valueDim + 1);
  return [spoil(columns(output, 0, valueDim), flags), spoil(logSumExp, flags)];
}

/** MemoryEfficientAttention for any backend; takes an array of Tensors. */
export const portableAttention = portableKernel(computeAttention);
