// SPDX-License-Identifier: Apache-2.0
/** What the key/value cache of layers.multiHeadAttention rejects: class, words, no leak. */
import * as tfl from '@tensorflow/tfjs-layers';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { call, causal, disposeLayers, layerOf, make, x } from '../support/multi_head_rejections.js';
import type { Args } from '../support/multi_head_rejections.js';
import { describeRejections, words, wrong } from '../support/rejection.js';

/** Caches of one step more than fits, or none: made before the call that is counted. */
const caches = new Map<string, layers.KeyValueCache>();
function cacheOf(args: Args, batch: number, capacity: number): layers.KeyValueCache {
  const key = JSON.stringify([args, batch, capacity]);
  const cache = caches.get(key) ?? layerOf(args).makeCache(batch, capacity);
  caches.set(key, cache);
  return cache;
}

function disposedCache(): layers.KeyValueCache {
  const cache = layerOf({ causal: true }).makeCache(1, 4);
  cache.dispose();
  return cache;
}

export function suite(_backend: TestBackend): void {
  describeRejections('errors of the key/value cache', [
    call(
      'a cache that is none',
      causal,
      (t) => [x(t), { cache: {} }],
      'cache',
      'a key/value cache',
      'object',
      TypeError,
    ),
    call(
      'a cache of another layer',
      causal,
      (t) => [x(t), { cache: cacheOf({ ...causal, name: 'other' }, 1, 8) }],
      'cache',
      'a cache of this layer',
      'one of other layers',
    ),
    call(
      'a cache of another batch size',
      causal,
      (t) => [x(t), { cache: cacheOf(causal, 2, 8) }],
      'cache',
      'for batch size 1',
      'one for 2',
    ),
    call(
      'a cache that is too small',
      causal,
      (t) => [x(t), { cache: cacheOf(causal, 1, 3) }],
      'cache',
      'of capacity 4 or more',
      '3',
    ),
    call(
      'a cache that is disposed',
      causal,
      (t) => [x(t), { cache: disposedCache() }],
      'cache',
      'a live cache',
      'a disposed one',
    ),
    call(
      'a cache without causal',
      {},
      (t) => [x(t), { cache: cacheOf({}, 1, 8) }],
      'cache',
      'left out, or causal true',
      'causal false',
    ),
    call(
      'a cache when training',
      causal,
      (t) => [x(t), { cache: cacheOf(causal, 1, 8), training: true }],
      'cache',
      'left out when training',
      'one',
    ),
    call(
      'a cache with packed sequences',
      causal,
      (t) => [x(t), { cache: cacheOf(causal, 1, 8), seqlens: [4] }],
      'cache',
      'left out with seqlens',
      'one',
    ),
    call(
      'a cache for causal cross-attention',
      causal,
      (t) => [[x(t), t.f32(1, 5, 6)], { cache: cacheOf(causal, 1, 8) }],
      'cache',
      'left out in cross-attention with causal',
      'one',
    ),
    call(
      'a cache for no steps',
      causal,
      (t) => [t.f32(1, 0, 6), { cache: cacheOf(causal, 1, 8) }],
      'cache',
      'left out for no steps',
      'one',
    ),
    [
      'a cache of capacity 0',
      () => make().makeCache(1, 0),
      RangeError,
      words('makeCache', 'capacity', 'a whole number above 0', '0'),
    ],
    [
      'a cache of what is no model',
      () => layers.makeCache(wrong('model'), 1, 8),
      TypeError,
      words('makeCache', 'source', 'a LayersModel or an array', "'model'"),
    ],
    [
      'a cache of no layers',
      () => layers.makeCache([], 1, 8),
      RangeError,
      words('makeCache', 'source', 'made of multiHeadAttention layers', '[]'),
    ],
    [
      'a cache of a model that calls a layer twice',
      () => layers.makeCache(repeating(), 1, 8),
      RangeError,
      words('makeCache', 'source', 'calls each multiHeadAttention once', 'called 2 times'),
    ],
  ]);
  after(() => {
    for (const cache of caches.values()) cache.dispose();
    caches.clear();
    repeated?.layers.at(-1)!.weights.forEach((weight) => weight.dispose());
    repeated = null;
    disposeLayers();
  });
}

let repeated: tfl.LayersModel | null = null;

function repeating(): tfl.LayersModel {
  if (repeated) return repeated;
  const input = tfl.input({ shape: [4, 6] });
  const layer = make(causal);
  const once = layer.apply(input) as tfl.SymbolicTensor;
  repeated = tfl.model({ inputs: input, outputs: layer.apply(once) as tfl.SymbolicTensor });
  return repeated;
}
