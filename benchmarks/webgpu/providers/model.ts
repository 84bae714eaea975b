// SPDX-License-Identifier: Apache-2.0
/**
 * Blocks of the quickstart's transformer (examples/quickstart), once with this package's ops and once with
 * tfjs' own: the same weights, and the same products and activations of tfjs around them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { fusedKernels } from '../../../examples/quickstart/fused.js';
import type { Kernels } from '../../../examples/quickstart/kernels.js';
import {
  Stream,
  drawFrom,
  listBlocks,
  makeBlocks,
  throughBlock,
} from '../../../examples/quickstart/model.js';
import { plainKernels } from '../../../examples/quickstart/plain.js';
import { draw } from '../../../test/support/draw.js';
import type { Work } from '../../shared/work.js';
import type { ModelCase } from '../cases.js';

const SEED = 1;

function modelWork(c: ModelCase, makeKernels: (tokens: number) => Kernels): Work {
  const config = { context: c.tokens, width: c.width, heads: c.heads, blocks: c.layers };
  const kernels = makeKernels(c.tokens);
  const blocks = makeBlocks(config, drawFrom(SEED));
  const weights = listBlocks(blocks);
  const x = tf.tensor2d(draw(SEED, c.tokens * c.width), [c.tokens, c.width]);
  const forward = () => {
    const stream = new Stream(kernels, x);
    for (const block of blocks) throughBlock(config, kernels, block, stream);
    return tf.add(stream.rows, stream.added!);
  };
  const loss = () => tf.mul(tf.sum(tf.square(forward())), 1 / c.tokens) as tf.Scalar;
  /** The output; or the loss and the gradients of all weights, in their order. */
  const step = (): tf.Tensor[] => {
    if (c.mode === 'forward') return [forward()];
    const { value, grads } = tf.variableGrads(loss, weights);
    return [value, ...weights.map(({ name }) => grads[name]!)];
  };
  return {
    run: () => tf.dispose(tf.tidy(step)),
    outputs: async () => {
      const results = tf.tidy(step);
      const outputs: Record<string, Float32Array> = {};
      for (const [n, tensor] of results.entries()) {
        outputs[String(n)] = (await tensor.data()) as Float32Array;
      }
      tf.dispose(results);
      return outputs;
    },
    release: () => {
      tf.dispose([x, ...weights]);
      kernels.dispose();
    },
  };
}

/** With this package's ops, in float32 throughout. */
export const fusedModel = (c: ModelCase): Work => modelWork(c, () => fusedKernels('float32'));
/** With compositions of tfjs' own ops. */
export const plainModel = (c: ModelCase): Work => modelWork(c, plainKernels);
