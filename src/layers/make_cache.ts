// SPDX-License-Identifier: Apache-2.0
import { LayersModel } from '@tensorflow/tfjs-layers';
import type { layers } from '@tensorflow/tfjs-layers';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { KeyValueCache } from './multi_head/key_value_cache.js';
import { MultiHeadAttention } from './multi_head_attention.js';

const OP = 'makeCache';

/**
 * A key/value cache for every `multiHeadAttention` in a model, models inside it included: pass it as
 * `model.apply(x, {cache})`, and every layer takes and keeps what is its own.
 *
 * @param source a model, or a list of attention layers.
 * @param batchSize the batch size of the calls.
 * @param capacity steps that it can hold at most.
 * @throws TypeError if `source` is neither; RangeError if it has no such layer or calls one several times,
 *   or unless both numbers are whole and above 0.
 * @example
 * const cache = layers.makeCache(model, 1, 512);
 * let logits = model.apply(prompt, { cache });
 * logits = model.apply(nextToken, { cache });
 * cache.dispose();
 */
export function makeCache(
  source: LayersModel | readonly MultiHeadAttention[],
  batchSize: number,
  capacity: number,
): KeyValueCache {
  const isList = Array.isArray(source);
  if (!isList && !(source instanceof LayersModel)) {
    throw typeError({
      op: OP,
      argument: 'source',
      expected: 'a LayersModel or an array of multiHeadAttention layers',
      got: describe(source),
      mend: 'Of a single layer call layer.makeCache(batchSize, capacity).',
    });
  }
  const owners = isList ? source : attentionsOf(source);
  const isAttention = (layer: unknown) => layer instanceof MultiHeadAttention;
  if (owners.length === 0 || !owners.every(isAttention)) {
    throw rangeError({
      op: OP,
      argument: 'source',
      expected: 'made of multiHeadAttention layers, or a model with one',
      got: isList ? describe(source) : `the model '${source.name}' without one`,
      mend: 'Other layers have no cache.',
    });
  }
  return new KeyValueCache(OP, owners, batchSize, capacity);
}

/** Every attention layer of a model. */
function attentionsOf(model: LayersModel): MultiHeadAttention[] {
  const found: MultiHeadAttention[] = [];
  for (const layer of model.layers) {
    if (layer instanceof LayersModel) found.push(...attentionsOf(layer));
    if (!(layer instanceof MultiHeadAttention)) continue;
    const calls = nodesIn(model, layer);
    if (calls > 1) {
      throw rangeError({
        op: OP,
        argument: 'source',
        expected: 'a model that calls each multiHeadAttention once',
        got: `'${layer.name}' called ${calls} times`,
        mend: 'The calls would take each other for earlier steps: make a layer for each.',
      });
    }
    found.push(layer);
  }
  return found;
}

/** How often a model calls a layer of its own. */
function nodesIn(model: LayersModel, layer: layers.Layer): number {
  const { nodesByDepth } = model as unknown as { nodesByDepth: Record<string, Node[]> };
  return Object.values(nodesByDepth ?? {})
    .flat()
    .filter((node) => node.outboundLayer === layer).length;
}

interface Node {
  outboundLayer: layers.Layer;
}
