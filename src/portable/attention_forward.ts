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
import {
  add,
  concat,
  div,
  exp,
  fill,
  log,
  max,
  maximum,
  mul,
  onesLike,
  reshape,
  sub,
  sum,
  tidy,
  where,
  zeros,
} from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { MemoryEfficientAttention, unpackInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import { blocksOf } from '../spec/mask.js';
import type { Block } from '../spec/mask.js';
import { chunksOf } from './attention_chunks.js';
import type { Chunk } from './attention_chunks.js';
import { keysOfBlock, queriesOfBlock, rowRange, swapHeads } from './attention_rows.js';
import {
  byKeyHead,
  byQueryHead,
  chunkScores,
  dimsOfTensors,
  dropoutFactors,
  keysOfChunk,
  weightedSum,
  zeroHidden,
} from './attention_scores.js';
import type { AttentionCall } from './attention_scores.js';
import { definePortableKernel, narrow, widen } from './portable_kernel.js';

interface BlockTensors {
  /** [B, H, q, K], scaled. */
  query: Tensor;
  /** [B, G, k, K] and [B, G, k, V]. */
  key: Tensor;
  value: Tensor;
}

/** Output [B, H, c, V] and logSumExp [B, H, c, 1]. */
type Result = [output: Tensor, logSumExp: Tensor];

function attendChunk(
  call: AttentionCall,
  block: Block,
  chunk: Chunk,
  tensors: BlockTensors,
): Result {
  const { dims, attrs, sink } = call;
  const rows = chunk.i1 - chunk.i0;
  if (chunk.j0 === chunk.j1) {
    const { batch, heads, valueDim } = dims;
    return [zeros([batch, heads, rows, valueDim]), fill([batch, heads, rows, 1], -Infinity)];
  }
  const query = byKeyHead(rowRange(tensors.query, chunk.i0, chunk.i1), dims);
  const key = keysOfChunk(tensors.key, chunk);
  const value = keysOfChunk(tensors.value, chunk);
  const { masked, visible, alive } = chunkScores(call, block, chunk, query, key);
  const highest = max(masked, 3, true);
  const m = sink ? maximum(highest, sink) : highest;
  const weights = zeroHidden(exp(sub(masked, m)), visible);
  const keySum = sum(weights, 3, true);
  const total = sink ? add(keySum, exp(sub(sink, m))) : keySum;
  const dropped = attrs.p ? mul(weights, dropoutFactors(call, block, chunk)) : weights;
  const sums = weightedSum(byKeyHead(dropped, dims), value, false, visible !== null);
  // A row without visible key has no sum to divide by, and a logSumExp that no arithmetic gives.
  const divisor = alive ? where(alive, total, onesLike(total)) : total;
  const logSumExp = add(m, log(divisor));
  return [
    div(byQueryHead(sums, dims), divisor),
    alive ? where(alive, logSumExp, fill(logSumExp.shape, -Infinity)) : logSumExp,
  ];
}

/** Output [B, H, q, V] and logSumExp [B, H, q, 1] of the queries of a block. */
function attendBlock(call: AttentionCall, block: Block, tensors: BlockTensors): Result {
  const chunks = chunksOf(call.attrs.plan, block, call.dims.batch * call.dims.heads);
  const results = chunks.map((chunk) => tidy(() => attendChunk(call, block, chunk, tensors)));
  return concatResults(results);
}

function concatResults(results: Result[]): Result {
  const outputs = results.map(([output]) => output);
  const logSumExps = results.map(([, logSumExp]) => logSumExp);
  return [concat(outputs, 2), concat(logSumExps, 2)];
}

function computeAttention(list: Tensor[], attrs: AttentionAttrs): Tensor[] {
  const inputs = unpackInputs<AttentionInputs<Tensor>>(attrs.present, list);
  const dims = dimsOfTensors(inputs.query, inputs.key, inputs.value);
  const { batch, queries, heads, valueDim } = dims;
  if (batch === 0 || queries === 0) {
    const output = zeros([batch, queries, heads, valueDim]);
    return [narrow(output, attrs.outputDtype), zeros([batch, heads, queries])];
  }
  const query = mul(widen(inputs.query, attrs.dtype), attrs.scale);
  const key = widen(inputs.key, attrs.dtype);
  const value = widen(inputs.value, attrs.dtype);
  const sink = inputs.sink && reshape(inputs.sink, [1, heads, 1, 1]);
  const call: AttentionCall = { attrs, dims, bias: inputs.bias, sink };
  const results = blocksOf(attrs.plan, queries, dims.keys)
    .filter((block) => block.qLength > 0)
    .map((block) =>
      tidy(() =>
        attendBlock(call, block, {
          query: queriesOfBlock(query, block),
          key: keysOfBlock(key, attrs.plan, block),
          value: keysOfBlock(value, attrs.plan, block),
        }),
      ),
    );
  const [output, logSumExp] = concatResults(results);
  return [
    narrow(swapHeads(output), attrs.outputDtype),
    reshape(logSumExp, [batch, heads, queries]),
  ];
}

/** MemoryEfficientAttention for any backend; takes an array of Tensors. */
export const portableAttention = definePortableKernel(MemoryEfficientAttention, computeAttention);
