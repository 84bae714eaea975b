// SPDX-License-Identifier: Apache-2.0
/**
 * The keys and values of one attention layer in a cache, as the attention gets them: normed, rotated, cast.
 *
 * On cpu, wasm and webgpu they lie in a buffer with room for more, and a step writes its own rows only;
 * the buffer doubles when it is full. On webgl and tensorflow, whose tensors cannot be changed, each
 * step makes new tensors. With a window, rows that no later query sees are dropped now and then.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isBFloat16 } from '../../bf16/bfloat16_tensor.js';
import { appendRows } from '../../ops/append_rows.js';
import type { FloatTensor } from '../../spec/dtype.js';
import { packedShape } from '../../spec/dtype.js';
import { rangeError } from '../../spec/errors.js';
import { sizeOf } from '../../spec/shape.js';

/** The keys and values of a call with a cache. The cache owns the tensors. */
export interface CachedRows {
  key: FloatTensor;
  value: FloatTensor;
  /** float32 [B, used], 0 for padding; null if there is none. */
  real: Tensor | null;
  /** Rows in use, from the first on; the tensors may have more. */
  used: number;
}

/** The new steps of a call. */
export interface NewRows {
  key: FloatTensor;
  value: FloatTensor;
  /** bool [B, m], false for padding; null if there is none. */
  mask: Tensor | null;
}

export class CachePart {
  private rows: CachedRows | null = null;
  private dropped = 0;
  private isHeld = false;

  constructor(private readonly capacity: number) {}

  /** Steps so far, those that were dropped too; 0 in cross-attention, whose keys are not steps. */
  get length(): number {
    return this.isHeld ? 0 : this.dropped + (this.rows?.used ?? 0);
  }

  /** What is cached, if anything is. */
  get current(): CachedRows | null {
    return this.rows;
  }

  /** Bytes of the buffers; on webgl and wasm a bfloat16 takes 4 there, not the 2 counted here. */
  get byteLength(): number {
    if (!this.rows) return 0;
    const bytes = (x: FloatTensor) => 4 * sizeOf(isBFloat16(x) ? packedShape(x.shape) : x.shape);
    return bytes(this.rows.key) + bytes(this.rows.value);
  }

  /** Throws unless `steps` more fit. */
  checkRoom(op: string, steps: number): void {
    if (this.length + steps <= this.capacity) return;
    throw rangeError({
      op,
      argument: 'cache',
      expected: `of capacity ${this.length + steps} or more`,
      got: String(this.capacity),
      mend: 'Make it larger, or reset() it for another sequence.',
    });
  }

  /** Adds steps, and drops those that a window of `windowSize` keys has passed. */
  append({ key, value, mask }: NewRows, windowSize: number | undefined): CachedRows {
    const { rows } = this;
    const used = rows?.used ?? 0;
    const isPassed = windowSize !== undefined && used > 2 * windowSize;
    const from = isPassed ? used - (windowSize - 1) : 0;
    const needed = used - from + key.shape[1]!;
    const reserve = Math.max(needed, Math.min(this.capacity, 2 * needed));
    const options = { from, used, reserve };
    const next = {
      key: kept(appendRows(rows?.key ?? null, key, options)),
      value: kept(appendRows(rows?.value ?? null, value, options)),
      real: realSteps(rows, mask, key.shape, from),
      used: needed,
    };
    this.drop();
    this.rows = next;
    this.dropped += from;
    return next;
  }

  /** Keeps the keys and values of cross-attention, which stay the same. */
  hold({ key, value, mask }: NewRows): CachedRows {
    const real = realSteps(null, mask, key.shape, 0);
    this.rows = { key: kept(key), value: kept(value), real, used: key.shape[1]! };
    this.isHeld = true;
    return this.rows;
  }

  reset(): void {
    this.drop();
    this.rows = null;
    this.dropped = 0;
    this.isHeld = false;
  }

  private drop(): void {
    if (!this.rows) return;
    this.rows.key.dispose();
    this.rows.value.dispose();
    this.rows.real?.dispose();
  }
}

/** Which cached steps are real, the new ones included; null while none is padding. */
function realSteps(
  rows: CachedRows | null,
  mask: Tensor | null,
  [batch, added]: readonly number[],
  from: number,
): Tensor | null {
  if (!mask && !rows?.real) return null;
  return tf.keep(
    tf.tidy(() => {
      const now = mask ? tf.where(mask, tf.scalar(1), tf.scalar(0)) : tf.ones([batch!, added!]);
      if (!rows) return now;
      const before = rows.real ?? tf.ones([batch!, rows.used]);
      return tf.concat([tf.slice(before, [0, from]), now], 1);
    }),
  );
}

function kept(x: FloatTensor): FloatTensor {
  return isBFloat16(x) ? x.keep() : tf.keep(x);
}
