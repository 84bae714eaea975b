// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Bits, BFloat16Pack, BFloat16Reshape, BFloat16Unpack } from '../kernel_names.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { checkShape } from '../spec/shape.js';
import { unpackBits, widenBits } from './rounding.js';

/** Known to every copy of this package: `instanceof` would tell copies apart. */
const BRAND = Symbol.for('tfjs-xformers.BFloat16Tensor');

/**
 * An immutable tensor of bfloat16 values, two to an int32 word on `webgpu`, `tensorflow` and `cpu`.
 *
 * Made by `toBFloat16`, `fromBFloat16Bits` and by ops with `outputDtype: 'bfloat16'`. `tf.tidy`,
 * `tf.keep`, `tf.dispose` and gradients treat it like a tensor; a gradient with respect to it
 * arrives as float32.
 *
 * @example
 * const x = toBFloat16(tf.tensor1d([1, 2, 3.14159]));
 * x.packed.shape;        // [2]: three values in two int32 words
 * await x.data();        // Float32Array [1, 2, 3.140625]
 * x.dispose();
 */
export class BFloat16Tensor {
  // tf.tidy and tf.dispose take a class of ours only if it has an index signature, and the values
  // of theirs (TensorContainer) leave no room for methods but `any`.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [member: string]: any;
  readonly [BRAND] = true;
  readonly dtype = 'bfloat16';
  readonly shape: number[];
  readonly rank: number;
  readonly size: number;
  /**
   * The differentiable handle (see bf16/storage.ts): for this package's kernels only.
   * An own, enumerable property, so that tfjs finds the tensor inside when it tidies and disposes.
   * @internal
   */
  readonly handle: Tensor;
  /** @internal */
  readonly backendName: string;
  private words: Tensor | null = null;

  /** Not for users: the argument is a handle, not any float32 tensor. */
  constructor(handle: Tensor) {
    this.handle = handle;
    this.shape = handle.shape;
    this.rank = handle.rank;
    this.size = handle.size;
    this.backendName = tf.getBackend();
  }

  get isDisposed(): boolean {
    return this.handle.isDisposed;
  }

  /** As tf.keep, which TypeScript lets take tfjs' own tensors only. */
  keep(): this {
    this.kept = true;
    return this;
  }

  /** Set by `tf.keep`. */
  get kept(): boolean {
    return this.handle.kept;
  }
  set kept(value: boolean) {
    this.handle.kept = value;
    if (this.words && !this.words.isDisposed) this.words.kept = value;
  }

  /**
   * The storage: int32 [...shape[:-1], ceil(shape[-1] / 2)], element 2i of the last axis in the low
   * 16 bits and 2i+1 in the high ones; an odd last axis ends in +0. It shares this tensor's data and
   * is disposed with it.
   */
  get packed(): Tensor {
    if (!this.words || this.words.isDisposed) {
      const handle = usableHandle('packed', 'this', this);
      this.words = tf.engine().runKernel(BFloat16Bits, { x: handle }) as Tensor;
      if (this.handle.kept) this.words.kept = true;
    }
    return this.words;
  }

  /** The `size` values as 16-bit patterns, row-major, without padding. */
  async bits(): Promise<Uint16Array> {
    return this.withWords((words) => words.data() as Promise<Int32Array>);
  }

  /** `bits` without a promise; on `webgpu` in browsers only, and slow there. */
  bitsSync(): Uint16Array {
    const words = this.ownWords();
    try {
      return unpackBits(words.dataSync() as Int32Array, this.lastAxis());
    } finally {
      words.dispose();
    }
  }

  /** The values, widened exactly to float32. */
  async data(): Promise<Float32Array> {
    return widenBits(await this.bits());
  }

  /** `data` without a promise; on `webgpu` in browsers only, and slow there. */
  dataSync(): Float32Array {
    return widenBits(this.bitsSync());
  }

  /** The same values as a float32 tensor; exact and differentiable. */
  toFloat32(): Tensor {
    const handle = usableHandle('toFloat32', 'this', this);
    return tf.engine().runKernel(BFloat16Unpack, { x: handle }) as Tensor;
  }

  /**
   * The same values in another shape of the same size; one entry may be -1. Shares the data unless
   * an odd last axis moves the padding. Differentiable.
   */
  reshape(shape: number[]): BFloat16Tensor {
    const handle = usableHandle('reshape', 'this', this);
    const target = inferShape(shape, this);
    const sharesWords =
      this.lastAxis() === (target.length === 0 ? 1 : target[target.length - 1]) ||
      (this.lastAxis() % 2 === 0 && (target[target.length - 1] ?? 1) % 2 === 0);
    if (sharesWords || this.size === 0) {
      return new BFloat16Tensor(
        tf
          .engine()
          .runKernel(
            BFloat16Reshape,
            { x: handle },
            { shape: target, xShape: this.shape },
          ) as Tensor,
      );
    }
    return tf.tidy(() => {
      const values = tf.reshape(this.toFloat32(), target);
      return new BFloat16Tensor(tf.engine().runKernel(BFloat16Pack, { x: values }) as Tensor);
    });
  }

  /** Another tensor on the same data. */
  clone(): BFloat16Tensor {
    return this.reshape(this.shape);
  }

  /** Frees the data, once no clone is left. A second call does nothing. */
  dispose(): void {
    if (this.words && !this.words.isDisposed) this.words.dispose();
    if (!this.handle.isDisposed) this.handle.dispose();
  }

  toString(): string {
    return `BFloat16Tensor(shape: [${this.shape.join(', ')}])`;
  }

  private lastAxis(): number {
    return this.rank === 0 ? 1 : this.shape[this.rank - 1]!;
  }

  /** A tensor of the words that the caller disposes, so that reading leaves no tensor behind. */
  private ownWords(): Tensor {
    const handle = usableHandle('bits', 'this', this);
    const words = tf.engine().runKernel(BFloat16Bits, { x: handle }) as Tensor;
    words.kept = true;
    return words;
  }

  private async withWords(read: (words: Tensor) => Promise<Int32Array>): Promise<Uint16Array> {
    const words = this.ownWords();
    try {
      return unpackBits(await read(words), this.lastAxis());
    } finally {
      words.dispose();
    }
  }
}

/** Whether `x` is a bfloat16 tensor of this package, be it of another copy of it in the process. */
export function isBFloat16(x: unknown): x is BFloat16Tensor {
  return typeof x === 'object' && x !== null && BRAND in x;
}

/** The handle of `x`, after checking that it is alive and on the current backend. */
export function usableHandle(op: string, argument: string, x: BFloat16Tensor): Tensor {
  if (x.isDisposed) {
    throw typeError({
      op,
      argument,
      expected: 'a live tensor',
      got: 'a disposed BFloat16Tensor',
      mend: 'Keep it with tf.keep(), or move the call inside the tf.tidy() that made it.',
    });
  }
  if (x.backendName !== tf.getBackend()) {
    throw typeError({
      op,
      argument,
      expected: `on the current backend, '${tf.getBackend()}'`,
      got: `a BFloat16Tensor made on '${x.backendName}'`,
      mend: 'Read it with `await x.bits()` before the switch and call fromBFloat16Bits() after it.',
    });
  }
  return x.handle;
}

function inferShape(shape: number[], x: BFloat16Tensor): number[] {
  if (!Array.isArray(shape)) checkShape('reshape', 'shape', shape);
  const unknown = shape.indexOf(-1);
  const known = shape.reduce((product, n, axis) => (axis === unknown ? product : product * n), 1);
  const target =
    unknown < 0 ? shape : shape.map((n, axis) => (axis === unknown ? x.size / known : n));
  checkShape('reshape', 'shape', target);
  if (target.reduce((product, n) => product * n, 1) !== x.size) {
    throw rangeError({
      op: 'reshape',
      argument: 'shape',
      expected: `of ${x.size} elements`,
      got: describe(shape),
      mend: `This tensor has shape [${x.shape.join(', ')}].`,
    });
  }
  return target;
}
