// SPDX-License-Identifier: Apache-2.0
/**
 * The portable kernels know one layout, query [B, Mq, H, K], key [B, Mk, G, K] and value [B, Mk, G, V]:
 * operands of others are sliced or transposed at their entry, results on their way out.
 */
import { concat, slice } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import type { AttentionDims } from '../spec/attention.js';
import { dimsOfOperands } from '../spec/attention_layout.js';
import { swapHeads } from './attention_rows.js';
import { widen } from './portable_kernel.js';

export interface WideOperands {
  query: Tensor;
  key: Tensor;
  value: Tensor;
}

/** Sizes of a call. */
export function dimsOfInputs(
  { query, key, value }: AttentionInputs<Tensor>,
  attrs: AttentionAttrs,
): AttentionDims {
  return dimsOfOperands(attrs, { query: query.shape, key: key.shape, value: value.shape });
}

/** The tensors that were passed: three, or the packed one. */
export function operandsPassed(inputs: AttentionInputs<Tensor>, attrs: AttentionAttrs): Tensor[] {
  const { query, key, value } = inputs;
  return attrs.layout === 'packed' ? [query] : [query, key, value];
}

/** [B, M, H, D] of a tensor of the call's layout, or the reverse. */
export function swapLayout(x: Tensor, { layout }: AttentionAttrs): Tensor {
  return layout === 'BHMK' ? swapHeads(x) : x;
}

/** The operands in float32 and the portable layout. */
export function wideOperands(inputs: AttentionInputs<Tensor>, attrs: AttentionAttrs): WideOperands {
  if (attrs.layout === 'packed') {
    const { heads, kvHeads } = dimsOfInputs(inputs, attrs);
    const all = widen(inputs.query, attrs.dtype);
    const part = (first: number, count: number) =>
      slice(all, [0, 0, first, 0], [-1, -1, count, -1]);
    return {
      query: part(0, heads),
      key: part(heads, kvHeads),
      value: part(heads + kvHeads, kvHeads),
    };
  }
  const wide = (x: Tensor) => swapLayout(widen(x, attrs.dtype), attrs);
  return { query: wide(inputs.query), key: wide(inputs.key), value: wide(inputs.value) };
}

/** Gradients of query, key and value as a kernel returns them: one for each tensor that was passed. */
export function gradientsInLayout(gradients: Tensor[], attrs: AttentionAttrs): Tensor[] {
  if (attrs.layout === 'packed') return [concat(gradients, 2)];
  return gradients.map((gradient) => swapLayout(gradient, attrs));
}
