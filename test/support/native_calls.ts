// SPDX-License-Identifier: Apache-2.0
/**
 * Whether the kernels of the native library served a run of the suites on the `tensorflow` backend.
 *
 * tfjs' kernel names are the same for native and portable kernels, so the names are noted of the ops
 * that TensorFlow executes: a run that was to test the library cannot pass on the portable kernels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { fusedLayerNorm, info, whyNotFused } from '../../src/index.js';
import type { TensorFlowBackend } from '../../src/tensorflow/backend.js';

export type Kernels = 'native' | 'portable';

export const NATIVE_OPS = [
  'TfxfAttentionBiasGradV1',
  'TfxfAttentionGradV1',
  'TfxfAttentionSinkGradV1',
  'TfxfAttentionV1',
  'TfxfBFloat16PackV1',
  'TfxfBFloat16UnpackV1',
  'TfxfFusedNormGradV1',
  'TfxfFusedNormV1',
];

export const isOurs = (name: string): boolean => name.startsWith('Tfxf');

/** The names of our ops that were executed. */
export const calledOps = (counts: ReadonlyMap<string, number>): string[] =>
  [...counts.keys()].filter(isOurs).sort();

/** Notes how often each op is executed from now on. */
export function countOps(): ReadonlyMap<string, number> {
  const backend = tf.backend() as unknown as TensorFlowBackend;
  const { binding } = backend;
  const counts = new Map<string, number>();
  const executeOp: typeof binding.executeOp = (name, attributes, inputs, outputs) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return binding.executeOp(name, attributes, inputs, outputs);
  };
  // The binding's own properties are read-only.
  backend.binding = Object.create(binding, { executeOp: { value: executeOp } }) as typeof binding;
  return counts;
}

/** The first test of a run: a norm and its gradient are one op each, or none of ours. */
export function testThatTheyServe(kernels: Kernels, counts: ReadonlyMap<string, number>): void {
  it(`${kernels} kernels serve the backend`, () => {
    const { native } = info();
    expect(native.loaded, native.reason).to.equal(kernels === 'native');
    tf.tidy(() => {
      const x = tf.tensor2d([1, 3, 2, 2], [2, 2]);
      const fused = whyNotFused('fusedLayerNorm', [x]).length === 0;
      expect(fused, 'whyNotFused').to.equal(kernels === 'native');
      const before = new Map(counts);
      tf.grad((each) => fusedLayerNorm(each as tf.Tensor2D))(x).dataSync();
      const calls = NATIVE_OPS.map((op) => [op, (counts.get(op) ?? 0) - (before.get(op) ?? 0)]);
      const norms = kernels === 'native' ? 1 : 0;
      expect(calls.filter(([, count]) => count !== 0)).to.deep.equal(
        ['TfxfFusedNormGradV1', 'TfxfFusedNormV1'].slice(0, 2 * norms).map((op) => [op, norms]),
      );
    });
  });
}

/** The last test of a run: all suites together have called every op of ours, or none. */
export function testThatTheyServed(kernels: Kernels, counts: ReadonlyMap<string, number>): void {
  it(`${kernels} kernels served all suites`, () => {
    expect(calledOps(counts)).to.deep.equal(kernels === 'native' ? NATIVE_OPS : []);
  });
}
