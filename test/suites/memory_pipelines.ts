// SPDX-License-Identifier: Apache-2.0
/** How the kernels live inside a backend: pipelines of webgpu, and what tf.profile and tf.time show. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { attnBias, fusedLayerNorm, memoryEfficientAttention, toFloat32 } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { draw } from '../support/draw.js';
import { pipelinesMadeBy } from '../support/gpu_work.js';
import { withoutLeak } from '../support/leaks.js';
import { skip } from '../support/report.js';

const HEAD_DIM = 32;

/** Attention and its gradients, then a norm and its gradients; `length` tokens each. */
function run(length: number, mask: attnBias.AttentionBias | null): tf.Tensor[] {
  return tf.tidy(() => {
    const x = tf.tensor(draw(1, length * HEAD_DIM), [1, length, 1, HEAD_DIM]);
    const attend = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      toFloat32(memoryEfficientAttention(q, k, v, mask));
    const norm = (h: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
      fusedLayerNorm(h, gamma, beta);
    const weights = [tf.tensor(draw(2, HEAD_DIM)), tf.tensor(draw(3, HEAD_DIM))];
    return [
      ...tf.grads(attend)([x, x.clone(), x.clone()], x),
      ...tf.grads(norm)([x, ...weights], x),
    ];
  });
}

async function readAll(tensors: tf.Tensor[]): Promise<void> {
  for (const tensor of tensors) await tensor.data();
  tf.dispose(tensors);
}

export function suite(backend: TestBackend): void {
  describe('kernels in the backend', function () {
    this.timeout(60000);

    it('are listed by name in tf.profile', async () => {
      await withoutLeak(async () => {
        const outputs: tf.Tensor[] = [];
        const { kernelNames } = await tf.profile(() => {
          outputs.push(...run(20, null));
          return outputs[0]!;
        });
        await readAll(outputs);
        expect(kernelNames).to.include.members([
          'MemoryEfficientAttention',
          'MemoryEfficientAttentionGrad',
          'FusedNorm',
          'FusedNormGrad',
        ]);
      });
    });

    if (backend.name !== 'webgpu') return;

    it('another length, mask window or block layout makes no new pipeline', async () => {
      await withoutLeak(async () => {
        const local = (window: number) =>
          new attnBias.LowerTriangularFromBottomRightLocalAttentionMask(window);
        const blocks = (lengths: number[]) => attnBias.BlockDiagonalMask.fromSeqlens(lengths);
        const first = await pipelinesMadeBy(async () => {
          await readAll(run(40, local(5)));
          await readAll(run(40, blocks([40])));
        });
        const second = await pipelinesMadeBy(async () => {
          await readAll(run(57, local(9)));
          await readAll(run(130, local(64)));
          await readAll(run(61, blocks([20, 1, 40])));
        });
        expect(second, `new pipelines; the first length made ${first}`).to.equal(0);
      });
    });

    it('have a time in tf.time', async function () {
      const { device } = tf.backend() as unknown as { device: GPUDevice };
      if (!device.features.has('timestamp-query')) skip(this, 'the device has no timestamp-query');
      await withoutLeak(async () => {
        const outputs: tf.Tensor[] = [];
        const time = await tf.time(() => {
          outputs.push(...run(40, null));
        });
        await readAll(outputs);
        const { kernelMs } = time as { kernelMs: unknown };
        expect(kernelMs).to.be.a('number');
        expect(kernelMs as number).to.be.above(0);
      });
    });
  });
}
