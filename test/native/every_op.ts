// SPDX-License-Identifier: Apache-2.0
/**
 * One call of each kind that the native library serves, forward and backward: for tests that compare
 * runs of them bit by bit, in other threads, with other settings and through other copies.
 */
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfjsXformers from '../../src/index.js';
import { draw } from '../support/draw.js';

export type Package = typeof tfjsXformers;

/** The values of each result, by its name. */
export type Results = Record<string, Float32Array>;

/** A digest of each result. */
export type Digests = Record<string, string>;

type Add = (name: string, tensors: tf.Tensor | tf.Tensor[]) => void;

const tensor = (seed: number, ...shape: number[]): tf.Tensor =>
  tf.tensor(draw(seed, tf.util.sizeFromShape(shape)), shape);

function norms(
  { fusedAddLayerNorm, fusedRMSNorm, toBFloat16, toFloat32 }: Package,
  add: Add,
): void {
  const [x, residual] = [tensor(1, 67, 129), tensor(2, 67, 129)];
  const [gamma, beta] = [tensor(3, 129), tensor(4, 129)];
  const layerNorm = (...[a, b, g, c]: tf.Tensor[]): tf.Tensor => {
    const { output, residual: sum } = fusedAddLayerNorm(a!, b!, g!, c!);
    return tf.add(output, sum);
  };
  add('layer norm', layerNorm(x, residual, gamma, beta));
  add('layer norm, gradients', tf.grads(layerNorm)([x, residual, gamma, beta], x));
  const rmsNorm = (a: tf.Tensor, g: tf.Tensor): tf.Tensor =>
    toFloat32(fusedRMSNorm(toBFloat16(a), g));
  add('RMS norm of bfloat16', rmsNorm(x, gamma));
  add('RMS norm of bfloat16, gradients', tf.grads(rmsNorm)([x, gamma], x));
}

function attentions(tfxf: Package, add: Add): void {
  const { attnBias, memoryEfficientAttention, toBFloat16, toFloat32 } = tfxf;
  const q = tensor(5, 1, 75, 6, 40);
  const [k, v] = [tensor(6, 1, 90, 2, 40), tensor(7, 1, 90, 2, 33)];
  const dy = tensor(8, 1, 75, 6, 33);
  const [bias, sink] = [tensor(9, 1, 6, 1, 90), tensor(10, 6)];
  type Op = (...inputs: tf.Tensor[]) => tf.Tensor;
  const both = (name: string, op: Op, inputs: tf.Tensor[]): void => {
    add(name, op(...inputs));
    add(`${name}, gradients`, tf.grads(op)(inputs, dy));
  };
  const causal = new attnBias.LowerTriangularFromBottomRightMask();
  both(
    'causal attention with dropout',
    (a, b, c) => memoryEfficientAttention(a!, b!, c!, causal, { p: 0.3, seed: 7 }),
    [q, k, v],
  );
  both(
    'attention with bias, softcap and sink',
    (a, b, c, d, e) => memoryEfficientAttention(a!, b!, c!, d!, { softcap: 5, sink: e! }),
    [q, k, v, bias, sink],
  );
  const blocks = attnBias.BlockDiagonalCausalMask.fromSeqlens([30, 0, 45], [25, 5, 60]);
  both(
    'packed attention of bfloat16',
    (...inputs) => {
      const [a, b, c] = inputs.map((x) => toBFloat16(x));
      return toFloat32(memoryEfficientAttention(a!, b!, c!, blocks));
    },
    [q, k, v],
  );
  add('decoding', memoryEfficientAttention(tensor(11, 1, 1, 6, 40), k, v));
}

/** Runs every op of a copy of the package; leaves no tensor behind. */
export function everyOp(tfxf: Package): Results {
  const results: Results = {};
  const add: Add = (name, tensors) => {
    [tensors].flat().forEach((each, n) => {
      results[`${name} ${n}`] = each.dataSync() as Float32Array;
    });
  };
  tf.tidy(() => {
    norms(tfxf, add);
    attentions(tfxf, add);
  });
  return results;
}

export function digestsOf(results: Results): Digests {
  const digest = (values: Float32Array): string =>
    createHash('sha256')
      .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      .digest('hex')
      .slice(0, 16);
  return Object.fromEntries(Object.entries(results).map(([name, x]) => [name, digest(x)]));
}
