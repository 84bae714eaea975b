// SPDX-License-Identifier: Apache-2.0
/** What the gradient kernels share: the tensors of a call, and the gradients of a chunk's scores. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionAttrs, AttentionGradInputs } from '../kernel_names.js';
import type { Block } from '../spec/mask.js';
import type { Chunk } from './attention_chunks.js';
import { finitePart, flagSpoilt } from './attention_guard.js';
import { dimsOfInputs, swapLayout, wideOperands } from './attention_operands.js';
import { keysOfBlock, queriesOfBlock, rowRange } from './attention_rows.js';
import {
  byKeyHead,
  byQueryHead,
  chunkScores,
  dropoutFactors,
  hideWeights,
  keysOfChunk,
} from './attention_scores.js';
import type { AttentionCall } from './attention_scores.js';
import { hidesKeys, isNegativeInfinity } from './attention_visibility.js';
import { widen } from './portable_kernel.js';

/**
 * The tensors of a call, float32, [B, M, H, D]; query is scaled, logSumExp and delta [B, Mq, H, 1].
 * Where keys can be hidden they are finite, and value and doutput have two more columns: a flag for
 * keys and values (and 0), and (0 and) a flag for queries. See attention_guard.ts.
 */
export interface GradTensors {
  query: Tensor;
  key: Tensor;
  value: Tensor;
  doutput: Tensor;
  logSumExp: Tensor;
  delta: Tensor;
  /** [B, Mq, H, 1]: 1 for a query that sees a key and has NaN or infinity in its row. */
  spoilt: Tensor | null;
}

export interface GradCall extends AttentionCall {
  tensors: GradTensors;
}

/** logSumExp and delta of a call, [B, Mq, H, 1]. */
export function rowSums(
  inputs: AttentionGradInputs<Tensor>,
  attrs: AttentionAttrs,
): { logSumExp: Tensor; delta: Tensor } {
  const byRow = (x: Tensor) => tf.expandDims(tf.transpose(x, [0, 2, 1]), 3);
  const products = swapLayout(
    tf.mul(inputs.doutput, widen(inputs.output, attrs.outputDtype)),
    attrs,
  );
  const delta = tf.sum(products, 3, true);
  const { logSumExp, dlogSumExp } = inputs;
  return {
    logSumExp: byRow(logSumExp),
    delta: dlogSumExp ? tf.sub(delta, byRow(dlogSumExp)) : delta,
  };
}

/** What the gradient kernels need: the call, with its tensors unpacked and guarded. */
export function gradCall(inputs: AttentionGradInputs<Tensor>, attrs: AttentionAttrs): GradCall {
  const dims = dimsOfInputs(inputs, attrs);
  const { query, key, value } = wideOperands(inputs, attrs);
  const tensors: GradTensors = {
    query: tf.mul(query, attrs.scale),
    ...{ key, value },
    doutput: swapLayout(inputs.doutput, attrs),
    ...rowSums(inputs, attrs),
    spoilt: null,
  };
  const sink = inputs.sink && tf.reshape(inputs.sink, [1, dims.heads, 1, 1]);
  return {
    attrs,
    dims,
    bias: inputs.bias,
    sink,
    tensors: hidesKeys(attrs) ? guarded(tensors) : tensors,
  };
}

function guarded({ query, key, value, doutput, logSumExp, delta }: GradTensors): GradTensors {
  const alive = tf.cast(tf.logicalNot(isNegativeInfinity(logSumExp)), 'float32');
  const spoilt = tf.mul(flagSpoilt(query, doutput, logSumExp, delta), alive);
  const keyFlags = flagSpoilt(key, value);
  return {
    query: finitePart(query),
    key: finitePart(key),
    value: tf.concat([finitePart(value), keyFlags, tf.zerosLike(keyFlags)], 3),
    doutput: tf.concat([finitePart(doutput), tf.zerosLike(spoilt), spoilt], 3),
    logSumExp: finitePart(logSumExp),
    delta: finitePart(delta),
    spoilt,
  };
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
    spoilt: tensors.spoilt && queriesOfBlock(tensors.spoilt, block),
  };
}

export interface ChunkGrad {
  /** P * D, [B, H, c, n]. */
  weights: Tensor;
  /** Gradient of the scores with bias, [B, H, c, n]. */
  dbiased: Tensor;
  /** Gradient of scale * query keyᵀ, [B, H, c, n]. */
  dscores: Tensor;
}

/** The gradients of a chunk's scores, from which all others are made. */
export function chunkGrad(
  call: GradCall,
  block: Block,
  chunk: Chunk,
  tensors: GradTensors,
): ChunkGrad {
  const { attrs, dims } = call;
  const rowsOf = (x: Tensor) => rowRange(x, chunk.i0, chunk.i1);
  const [probabilities, capped] = tf.tidy(() => {
    const query = byKeyHead(rowsOf(tensors.query), dims);
    const scores = chunkScores(call, block, chunk, query, keysOfChunk(tensors.key, chunk));
    const weights = tf.exp(tf.sub(scores.masked, rowsOf(tensors.logSumExp)));
    const hidden = hideWeights(weights, scores.visible, call);
    return attrs.softcap ? [hidden, scores.capped] : [hidden];
  }) as [Tensor, Tensor | undefined];
  const factors = attrs.p ? dropoutFactors(call, block, chunk) : null;
  const dbiased = tf.tidy(() => {
    const doutput = byKeyHead(rowsOf(tensors.doutput), dims);
    const value = keysOfChunk(tensors.value, chunk);
    const dweights = byQueryHead(tf.matMul(doutput, value, false, true), dims);
    const dprobabilities = factors ? tf.mul(dweights, factors) : dweights;
    return tf.mul(probabilities, tf.sub(dprobabilities, rowsOf(tensors.delta)));
  });
  return {
    weights: factors ? tf.mul(probabilities, factors) : probabilities,
    dbiased,
    dscores: capped
      ? tf.tidy(() => tf.mul(dbiased, tf.sub(1, tf.square(tf.div(capped, attrs.softcap)))))
      : dbiased,
  };
}
