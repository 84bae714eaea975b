// SPDX-License-Identifier: Apache-2.0
/** Time, memory and error of one side of a case. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

import { quantile } from '../../quickstart/compare.js';
import { withGPUErrors } from '../device/gpu_device.js';
import { breathe } from '../page/breathe.js';
import { mostBytes } from './memory.js';
import type { OpCase, Side } from './op_case.js';

export interface Point {
  length: number;
  /** Median. */
  milliseconds: number;
  /** Most bytes held in a call, inputs included; what the page held before is not. */
  bytes: number;
  error: number;
}

const MOST_ROUNDS = 7;
/** Rounds end when they have taken so long together. */
const ROUNDS_MS = 500;

/** Waits until a tensor is computed, and reads no more than a value of it. */
async function finish(tensor: Tensor): Promise<void> {
  const one = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await one.data();
  one.dispose();
}

/** The output, or the gradients of all inputs for the output's sum. */
function compute(
  run: (...inputs: Tensor[]) => Tensor,
  inputs: Tensor[],
  hasGradients: boolean,
): Tensor[] {
  return tf.tidy(() => {
    if (!hasGradients) return [run(...inputs)];
    const ones = tf.ones(inputs[0]!.shape);
    return tf.valueAndGrads((...x: Tensor[]) => run(...x))(inputs, ones).grads;
  });
}

/** @param before bytes that were held before the case was made */
export async function measurePoint(
  length: number,
  side: Side,
  opCase: OpCase,
  hasGradients: boolean,
  before: number,
): Promise<Point> {
  const { inputs } = opCase;
  const prepared = opCase.prepare(side);
  const call = async () => {
    const outputs = compute(prepared.compute, inputs, hasGradients);
    await finish(outputs.at(-1)!).finally(() => tf.dispose(outputs));
  };
  try {
    return await withGPUErrors(async () => {
      // The first call compiles, and its output tells the error.
      const [output] = compute(prepared.compute, inputs, false);
      const error = await opCase.errorOf(output!).finally(() => output!.dispose());
      await call();
      const times: number[] = [];
      const start = performance.now();
      while (times.length < MOST_ROUNDS && performance.now() - start < ROUNDS_MS) {
        const begin = performance.now();
        await call();
        times.push(performance.now() - begin);
        await breathe();
      }
      const bytes = (await mostBytes(call)) - before;
      return { length, milliseconds: quantile(times, 0.5), bytes, error };
    });
  } finally {
    prepared.dispose();
  }
}
