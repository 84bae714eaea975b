// SPDX-License-Identifier: Apache-2.0
import { checkNumber } from '../../spec/attention.js';
import { rangeError, typeError } from '../../spec/errors.js';
import { CachePart } from './cache_part.js';

/** Known to every copy of this package: `instanceof` would tell copies apart. */
const BRAND = Symbol.for('tfjs-xformers.KeyValueCache');

/** Whether `x` is a cache. */
export function isKeyValueCache(x: unknown): x is KeyValueCache {
  return typeof x === 'object' && x !== null && BRAND in x;
}

/**
 * The keys and values of the steps so far, of one attention layer or of all those of a model: what text is
 * generated with, a step at a time. Made by `layer.makeCache()` or `layers.makeCache()`, passed as
 * `apply(x, {cache})`. It owns its tensors until `dispose()`; tf.tidy does not touch them.
 *
 * @example
 * const cache = layers.makeCache(model, 1, 512);
 * let logits = model.apply(prompt, { cache });          // all steps of the prompt at once
 * logits = model.apply(nextToken, { cache });           // then one at a time
 * cache.dispose();
 */
export class KeyValueCache {
  readonly [BRAND] = true;
  private readonly parts: Map<object, CachePart>;
  private disposed = false;

  /**
   * Not for users.
   * @internal
   */
  constructor(
    op: string,
    owners: readonly object[],
    readonly batchSize: number,
    /** Steps that it can hold at most. */
    readonly capacity: number,
  ) {
    const isCount = (x: number) => Number.isInteger(x) && x > 0;
    for (const [name, count] of Object.entries({ batchSize, capacity })) {
      const mend = 'For example makeCache(1, 512): one sequence of up to 512 steps.';
      checkNumber(op, name, count, isCount, 'a whole number above 0', mend);
    }
    this.parts = new Map(owners.map((owner) => [owner, new CachePart(capacity)]));
  }

  /** Steps so far. */
  get length(): number {
    return Math.max(0, ...[...this.parts.values()].map((part) => part.length));
  }

  /** Bytes of keys and values in all layers; bfloat16 counts as 2, as it is but on webgl and wasm. */
  get byteLength(): number {
    return [...this.parts.values()].reduce((sum, part) => sum + part.byteLength, 0);
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  /** Forgets all steps, for another sequence. */
  reset(): void {
    for (const part of this.parts.values()) part.reset();
  }

  /** Frees all tensors; the cache cannot be used any more. A second call does nothing. */
  dispose(): void {
    this.reset();
    this.disposed = true;
  }

  /**
   * The part of a layer for a call, after a check.
   * @internal
   */
  partOf(op: string, owner: object, batch: number): CachePart {
    const reject = (expected: string, got: string, mend: string) =>
      rangeError({ op, argument: 'cache', expected, got, mend });
    if (this.disposed) throw reject('a live cache', 'a disposed one', 'Make another.');
    const part = this.parts.get(owner);
    if (!part) {
      const mend = 'Make it by makeCache() of this layer, or of the model that the layer is in.';
      throw reject('a cache of this layer', 'one of other layers', mend);
    }
    if (batch !== this.batchSize) {
      const mend = 'Make a cache for each batch size.';
      throw reject(`for batch size ${batch}`, `one for ${this.batchSize}`, mend);
    }
    return part;
  }
}

/** The cache of a call's kwargs; throws for anything else. */
export function cacheOf(op: string, kwargs: Record<string, unknown>): KeyValueCache | null {
  const cache = kwargs['cache'];
  if (cache === null || cache === undefined) return null;
  if (!isKeyValueCache(cache)) {
    throw typeError({
      op,
      argument: 'cache',
      expected: 'a key/value cache',
      got: typeof cache,
      mend: 'Make one with layer.makeCache(batchSize, capacity).',
    });
  }
  return cache;
}
