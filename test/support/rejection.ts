// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import { toBFloat16 } from '../../src/index.js';
import type { BFloat16Tensor } from '../../src/index.js';

/** Throws unless `call` throws an error of this class and these words and leaves no tensor behind. */
export function expectRejection(call: () => unknown, type: typeof Error, words: RegExp): void {
  let error: unknown = null;
  const before = tf.memory().numTensors;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  const leaked = tf.memory().numTensors - before;
  if (!(error instanceof type)) throw new Error(`expected a ${type.name}, got ${String(error)}`);
  if (!words.test(error.message)) {
    throw new Error(`expected the words ${String(words)}, got: ${error.message}`);
  }
  if (leaked !== 0) throw new Error(`${leaked} tensors leaked`);
}

/** Tensors for calls that must be rejected: made once, so that such a call makes none itself. */
export class TensorPool {
  private readonly tensors = new Map<string, tf.Tensor>();
  private readonly halves = new Map<string, BFloat16Tensor>();

  /** A tensor of zeros; the same one for the same arguments. */
  f32(...shape: number[]): tf.Tensor {
    return this.of('float32', shape);
  }

  of(dtype: 'float32' | 'int32' | 'bool', shape: number[]): tf.Tensor {
    const name = `${dtype} ${shape.join()}`;
    let tensor = this.tensors.get(name);
    if (!tensor) this.tensors.set(name, (tensor = tf.zeros(shape, dtype)));
    return tensor;
  }

  bf16(...shape: number[]): BFloat16Tensor {
    const name = shape.join();
    let half = this.halves.get(name);
    if (!half) this.halves.set(name, (half = tf.tidy(() => toBFloat16(tf.zeros(shape)))));
    return half;
  }

  disposed(...shape: number[]): tf.Tensor {
    const tensor = tf.zeros(shape);
    tensor.dispose();
    return tensor;
  }

  disposedBf16(...shape: number[]): BFloat16Tensor {
    const half = tf.tidy(() => toBFloat16(tf.zeros(shape)));
    half.dispose();
    return half;
  }

  dispose(): void {
    tf.dispose([...this.tensors.values()]);
    for (const half of this.halves.values()) half.dispose();
    this.tensors.clear();
    this.halves.clear();
  }
}

export type Rejected = readonly [
  title: string,
  call: (pool: TensorPool) => unknown,
  type: typeof Error,
  words: RegExp,
];

/** A test for each row of the table. */
export function describeRejections(title: string, table: readonly Rejected[]): void {
  describe(title, () => {
    const pool = new TensorPool();
    after(() => pool.dispose());
    for (const [name, call, type, words] of table) {
      it(`rejects ${name}`, () => {
        // The first call fills the pool, so that the one that is counted makes no tensor.
        try {
          call(pool);
        } catch {
          // It is the second call whose error is tested.
        }
        expectRejection(() => call(pool), type, words);
      });
    }
  });
}

/** A value that the types forbid, as a caller in plain JavaScript may pass it. */
export const wrong = (value: unknown): never => value as never;

const escape = (words: string): string => words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** "op: argument must be …expected…, got got. Mend." */
export function words(op: string, argument: string, expected: string, got: string): RegExp {
  return new RegExp(
    `^${op}: ${escape(argument)} must be .*${escape(expected)}.*, got .*${escape(got)}.*\\. \\S.+\\.$`,
    's',
  );
}
