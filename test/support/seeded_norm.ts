// SPDX-License-Identifier: Apache-2.0
/** From a norm case to its inputs, and the calls of the package under test on them. */
import * as tf from '@tensorflow/tfjs-core';
import {
  fusedAddLayerNorm,
  fusedAddRMSNorm,
  fusedLayerNorm,
  fusedRMSNorm,
  isBFloat16,
  toBFloat16,
  toFloat32,
} from '../../src/index.js';
import type { FloatDType, FloatTensor } from '../../src/spec/dtype.js';
import type { NormCase } from '../cases/norm.js';
import { drawTensor } from './draw.js';
import { withoutLeak } from './leaks.js';
import type { NormProblem } from './reference_norm.js';

export interface SeededNorm {
  readonly problem: NormProblem;
  readonly dy: Float32Array;
  readonly dsum: Float32Array | null;
}

export type NormInputName = 'x' | 'residual' | 'gamma' | 'beta';
const INPUT_NAMES: readonly NormInputName[] = ['x', 'residual', 'gamma', 'beta'];

function dtypeOf(c: NormCase, name: NormInputName): FloatDType {
  if (name === 'x') return c.dtype;
  return name === 'residual' ? (c.residualDtype ?? c.dtype) : (c.weightDtype ?? 'float32');
}

export function seedNorm(c: NormCase): SeededNorm {
  const channels = c.shape[c.shape.length - 1]!;
  const rows = c.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const weights = dtypeOf(c, 'gamma');
  return {
    problem: {
      rows,
      channels,
      rms: c.rms,
      epsilon: c.epsilon,
      x: drawTensor(c.seed, c.shape, c.dtype, c.xscale, c.xoffset),
      ...(c.residual && { residual: drawTensor(c.seed + 1, c.shape, dtypeOf(c, 'residual')) }),
      ...(c.gamma && { gamma: drawTensor(c.seed + 2, [channels], weights, 0.2, 1) }),
      ...(c.beta && { beta: drawTensor(c.seed + 3, [channels], weights, 0.5) }),
      ...(c.weightOffset && { weightOffset: c.weightOffset }),
    },
    dy: drawTensor(c.seed + 4, c.shape, c.dtype),
    dsum: c.dsum ? drawTensor(c.seed + 5, c.shape) : null,
  };
}

type Leaves = Partial<Record<NormInputName, tf.Tensor>>;

/** The float inputs of a case; bfloat16 ones still float32. */
function leavesOf(c: NormCase, s: SeededNorm): [NormInputName, tf.Tensor][] {
  return INPUT_NAMES.filter((name) => s.problem[name]).map((name) => {
    const shape = name === 'x' || name === 'residual' ? [...c.shape] : [s.problem.channels];
    return [name, tf.tensor(s.problem[name] as Float32Array, shape)];
  });
}

function callNorm(
  c: NormCase,
  leaves: Leaves,
): { output: FloatTensor; sum: tf.Tensor | undefined } {
  const input = (name: NormInputName): FloatTensor | undefined => {
    const x = leaves[name];
    return x && dtypeOf(c, name) === 'bfloat16' ? toBFloat16(x) : x;
  };
  const x = input('x')!;
  const gamma = input('gamma');
  const options = {
    epsilon: c.epsilon,
    ...(c.outputDtype && { outputDtype: c.outputDtype }),
    ...(c.weightOffset && { weightOffset: c.weightOffset }),
  };
  if (c.residual) {
    const residual = input('residual')!;
    const both = c.rms
      ? fusedAddRMSNorm(x, residual, gamma, options)
      : fusedAddLayerNorm(x, residual, gamma, input('beta'), options);
    return { output: both.output, sum: both.residual };
  }
  const output = c.rms
    ? fusedRMSNorm(x, gamma, options)
    : fusedLayerNorm(x, gamma, input('beta'), options);
  return { output, sum: undefined };
}

export interface NormRun {
  output: Float32Array;
  sum: Float32Array | null;
  shape: number[];
  dtype: string;
}

/** Output and sum; throws if a tensor leaks. */
export function runNorm(c: NormCase, s: SeededNorm): Promise<NormRun> {
  return withoutLeak(async () => {
    const { output, sum } = tf.tidy(() => callNorm(c, Object.fromEntries(leavesOf(c, s))));
    const run: NormRun = {
      output: (await output.data()) as Float32Array,
      sum: sum ? ((await sum.data()) as Float32Array) : null,
      shape: output.shape,
      dtype: isBFloat16(output) ? 'bfloat16' : output.dtype,
    };
    output.dispose();
    sum?.dispose();
    return run;
  });
}

/** The gradients of all float inputs; throws if a tensor leaks. */
export function runNormGradients(
  c: NormCase,
  s: SeededNorm,
): Promise<Partial<Record<NormInputName, Float32Array>>> {
  return withoutLeak(async () => {
    const [names, gradients] = tf.tidy(() => {
      const leaves = leavesOf(c, s);
      const names = leaves.map(([name]) => name);
      const xs = leaves.map(([, x]) => x);
      const call = (inputs: tf.Tensor[]) =>
        callNorm(c, Object.fromEntries(inputs.map((x, index) => [names[index]!, x])));
      const dy = tf.tensor(s.dy, [...c.shape]);
      if (!s.dsum) {
        const f = (...inputs: tf.Tensor[]) => toFloat32(call(inputs).output);
        return [names, tf.grads(f)(xs, dy)] as const;
      }
      const dsum = tf.tensor(s.dsum, [...c.shape]);
      const f = (...inputs: tf.Tensor[]): tf.Tensor => {
        const { output, sum } = call(inputs);
        return tf.add(tf.sum(tf.mul(toFloat32(output), dy)), tf.sum(tf.mul(sum!, dsum)));
      };
      return [names, tf.grads(f)(xs)] as const;
    });
    const values: Partial<Record<NormInputName, Float32Array>> = {};
    for (const [index, gradient] of gradients.entries()) {
      values[names[index]!] = (await gradient.data()) as Float32Array;
      gradient.dispose();
    }
    return values;
  });
}
