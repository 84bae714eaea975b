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
import {
  concat,
  div,
  exp,
  matMul,
  mul,
  reshape,
  square,
  sub,
  sum,
  tidy,
  transpose,
  zeros,
} from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { MemoryEfficientAttentionGrad, unpackInputs } from '../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import { blocksOf } from '../spec/mask.js';
import type { Block } from '../spec/mask.js';
import { chunksOf } from './attention_chunks.js';
import type { Chunk } from './attention_chunks.js';
import {
  addRows,
  keysOfBlock,
  queriesOfBlock,
  rowRange,
  rowsOfKeys,
  sumIntoRows,
  swapHeads,
} from './attention_rows.js';
import {
  byKeyHead,
  byQueryHead,
  chunkScores,
  dimsOfTensors,
  dropoutFactors,
  finitePart,
  keysOfChunk,
  weightedSum,
  zeroHidden,
} from './attention_scores.js';
import type { AttentionCall } from './attention_scores.js';
import { definePortableKernel, widen } from './portable_kernel.js';

/** The tensors of a call, float32, [B, M, H, D]; query is scaled, logSumExp and delta [B, Mq, H, 1]. */
export interface GradTensors {
  query: Tensor;
  key: Tensor;
  value: Tensor;
  doutput: Tensor;
  logSumExp: Tensor;
  delta: Tensor;
}

export interface GradCall extends AttentionCall {
  tensors: GradTensors;
}

/** What all gradient kernels need: the call, with its tensors unpacked and delta. */
export function gradCall(list: Tensor[], attrs: AttentionAttrs): GradCall {
  const inputs = unpackInputs<AttentionGradInputs<Tensor>>(attrs.present, list);
  const dims = dimsOfTensors(inputs.query, inputs.key, inputs.value);
  const byRow = (x: Tensor) =>
    reshape(transpose(x, [0, 2, 1]), [dims.batch, dims.queries, dims.heads, 1]);
  const products = mul(inputs.doutput, widen(inputs.output, attrs.outputDtype));
  const outputDelta = sum(products, 3, true);
  const { dlogSumExp } = inputs;
  const tensors: GradTensors = {
    query: mul(widen(inputs.query, attrs.dtype), attrs.scale),
    key: widen(inputs.key, attrs.dtype),
    value: widen(inputs.value, attrs.dtype),
    doutput: inputs.doutput,
    logSumExp: byRow(inputs.logSumExp),
    delta: dlogSumExp ? sub(outputDelta, byRow(dlogSumExp)) : outputDelta,
  };
  const sink = inputs.sink && reshape(inputs.sink, [1, dims.heads, 1, 1]);
  return { attrs, dims, bias: inputs.bias, sink, tensors };
}

/** The tensors of a block, head-major. */
export function blockTensors({ attrs, tensors }: GradCall, block: Block): GradTensors {
  return {
    query: queriesOfBlock(tensors.query, block),
    key: keysOfBlock(tensors.key, attrs.plan, block),
    value: keysOfBlock(tensors.value, attrs.plan, block),
    doutput: queriesOfBlock(tensors.doutput, block),
    logSumExp: queriesOfBlock(tensors.logSumExp, block),
    delta: queriesOfBlock(tensors.delta, block),
  };
}

export interface ChunkGrad {
  /** byKeyHead and by key head: rows of the chunk, for the products that follow. */
  query: Tensor;
  key: Tensor;
  doutput: Tensor;
  /** P * D, [B, H, c, n]. */
  weights: Tensor;
  /** Gradient of the scores with bias, [B, H, c, n]. */
  dbiased: Tensor;
  /** Gradient of scale * query keyᵀ, [B, H, c, n]. */
  dscores: Tensor;
  isHidden: boolean;
}

/** Everything of a chunk that gradients are made of. Call it inside a tidy. */
export function chunkGrad(
  call: GradCall,
  block: Block,
  chunk: Chunk,
  tensors: GradTensors,
): ChunkGrad {
  const { attrs, dims } = call;
  const rowsOf = (x: Tensor) => rowRange(x, chunk.i0, chunk.i1);
  const query = byKeyHead(rowsOf(tensors.query), dims);
  const doutput = byKeyHead(rowsOf(tensors.doutput), dims);
  const key = keysOfChunk(tensors.key, chunk);
  const value = keysOfChunk(tensors.value, chunk);
  const { capped, masked, visible } = chunkScores(call, block, chunk, query, key);
  const probabilities = zeroHidden(exp(sub(masked, rowsOf(tensors.logSumExp))), visible);
  const dweights = byQueryHead(matMul(doutput, value, false, true), dims);
  const factors = attrs.p ? dropoutFactors(call, block, chunk) : null;
  const dprobabilities = factors ? mul(dweights, factors) : dweights;
  const centred = sub(dprobabilities, rowsOf(tensors.delta));
  const dbiased = zeroHidden(mul(probabilities, centred), visible);
  const slope = attrs.softcap ? sub(1, square(div(capped, attrs.softcap))) : null;
  return {
    query,
    key,
    doutput,
    weights: factors ? mul(probabilities, factors) : probabilities,
    dbiased,
    dscores: slope ? zeroHidden(mul(dbiased, slope), visible) : dbiased,
    isHidden: visible !== null,
  };
}

/** dquery [B, H, c, K], dkey [B, G, n, K] and dvalue [B, G, n, V] of a chunk. */
function chunkGradients(
  call: GradCall,
  block: Block,
  chunk: Chunk,
  tensors: GradTensors,
): [Tensor, Tensor, Tensor] {
  const { attrs, dims } = call;
  const grad = chunkGrad(call, block, chunk, tensors);
  // A row that sees NaN or infinity has NaN in dscores already; what it does not see is left out.
  const clean = (x: Tensor) => (grad.isHidden ? finitePart(x) : x);
  const dscores = byKeyHead(grad.dscores, dims);
  const dquery = mul(matMul(dscores, clean(grad.key)), attrs.scale);
  const dkey = matMul(dscores, clean(grad.query), true, false);
  const weights = byKeyHead(grad.weights, dims);
  const dvalue = weightedSum(weights, grad.doutput, true, grad.isHidden);
  const ofKeys = (x: Tensor) => reshape(x, [dims.batch, dims.kvHeads, ...x.shape.slice(1)]);
  return [byQueryHead(dquery, dims), ofKeys(dkey), ofKeys(dvalue)];
}

/** The three gradients of a block, [B, rows, heads, D]. */
function blockGradients(call: GradCall, block: Block): [Tensor, Tensor, Tensor] {
  const { attrs, dims } = call;
  const { batch, heads, kvHeads, keyDim, valueDim } = dims;
  const tensors = blockTensors(call, block);
  const dquery: Tensor[] = [];
  let dkey: Tensor | null = null;
  let dvalue: Tensor | null = null;
  for (const chunk of chunksOf(attrs.plan, block, batch * heads)) {
    if (chunk.j0 === chunk.j1) {
      dquery.push(zeros([batch, heads, chunk.i1 - chunk.i0, keyDim]));
      continue;
    }
    const parts = tidy(() => chunkGradients(call, block, chunk, tensors));
    dquery.push(parts[0]);
    dkey = addRows(dkey, parts[1], chunk.j0, block.kLength);
    dvalue = addRows(dvalue, parts[2], chunk.j0, block.kLength);
  }
  return [
    swapHeads(concat(dquery, 2)),
    swapHeads(dkey ?? zeros([batch, kvHeads, block.kLength, keyDim])),
    swapHeads(dvalue ?? zeros([batch, kvHeads, block.kLength, valueDim])),
  ];
}

function computeGrad(list: Tensor[], attrs: AttentionAttrs): Tensor[] {
  const { query, key, value } = unpackInputs<AttentionGradInputs<Tensor>>(attrs.present, list);
  const { batch, queries, keys, kvHeads, keyDim, valueDim } = dimsOfTensors(query, key, value);
  if (batch === 0 || queries === 0) return [query, key, value].map((x) => zeros(x.shape));
  const call = gradCall(list, attrs);
  const blocks = blocksOf(attrs.plan, queries, keys).filter((block) => block.qLength > 0);
  const results = blocks.map((block) => tidy(() => blockGradients(call, block)));
  const withKeys = results.filter((_, index) => blocks[index]!.kLength > 0);
  const targets = blocks.flatMap((block) => rowsOfKeys(attrs.plan, block, 0, block.kLength));
  return [
    concat(
      results.map(([dquery]) => dquery),
      1,
    ),
    sumIntoRows(
      withKeys.map(([, dkey]) => dkey),
      targets,
      [batch, keys, kvHeads, keyDim],
    ),
    sumIntoRows(
      withKeys.map(([, , dvalue]) => dvalue),
      targets,
      [batch, keys, kvHeads, valueDim],
    ),
  ];
}

/** MemoryEfficientAttentionGrad for any backend; takes an array of Tensors. */
export const portableAttentionGrad = definePortableKernel(
  MemoryEfficientAttentionGrad,
  computeGrad,
);
