// SPDX-License-Identifier: Apache-2.0
/** Peak memory of attention, forward and backward: nothing of the size Mq x Mk. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { attnBias, memoryEfficientAttention, toBFloat16, toFloat32 } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { itUnless } from '../support/cost.js';
import { draw } from '../support/draw.js';
import { peakGPUBytes, withoutComputing } from '../support/gpu_work.js';
import { withoutLeak } from '../support/leaks.js';

type Mask = attnBias.AttentionBias;

const HEAD_DIM = 16;

/** Attention of one head over `length` tokens, its gradients read to the end. */
async function forwardAndBackward(length: number, mask: Mask, half: boolean): Promise<void> {
  const shape = [1, length, 1, HEAD_DIM];
  const values = draw(3, length * HEAD_DIM);
  const gradients = tf.tidy(() => {
    const x = tf.tensor(values, shape);
    const cast = (each: tf.Tensor) => (half ? toBFloat16(each) : each);
    const f = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      toFloat32(memoryEfficientAttention(cast(q), cast(k), cast(v), mask));
    return tf.grads(f)([x, x.clone(), x.clone()], tf.tensor(values, shape));
  });
  for (const gradient of gradients) {
    await gradient.data();
    gradient.dispose();
  }
}

const causal = (): Mask => new attnBias.LowerTriangularMask();
const local = (): Mask => new attnBias.LowerTriangularFromBottomRightLocalAttentionMask(64);

/** float32 [M, 16] for q, k, v, output, dout and three gradients, twice that for what tfjs copies. */
const BYTES_PER_TOKEN = 16 * HEAD_DIM * 4;

/** Uniforms and the like, and the workspace of short sequences. */
const FIXED_BYTES = 1 << 18;

function onWebGPU(): void {
  const check = async (lengths: number[], mask: () => Mask, half: boolean): Promise<void> => {
    const peaks: number[] = [];
    for (const length of lengths) {
      const peak = await peakGPUBytes(() =>
        withoutLeak(() => forwardAndBackward(length, mask(), half)),
      );
      expect(peak, `peak bytes at M = ${length}`).to.be.at.most(
        BYTES_PER_TOKEN * length + FIXED_BYTES,
      );
      peaks.push(peak);
    }
    const growth = peaks[peaks.length - 1]! / peaks[0]!;
    expect(growth, `growth of ${peaks.join(', ')} bytes`).to.be.at.most(
      (1.25 * lengths[lengths.length - 1]!) / lengths[0]!,
    );
  };

  it('peak GPU bytes grow linearly from M = 1,024 to 16,384 · window of 64', () =>
    check([1024, 16384], local, false));
  it('peak GPU bytes grow linearly from M = 1,024 to 4,096 · window of 64 · bfloat16', () =>
    check([1024, 4096], local, true));
  it('peak GPU bytes grow linearly from M = 1,024 to 2,048 · causal', () =>
    check([1024, 2048], causal, false));
  it('peak GPU bytes grow linearly from M = 1,024 to 16,384 · causal · buffers only', () =>
    withoutComputing(() => check([1024, 16384], causal, false)));
}

/** Bytes of tensors at the most while forward and backward run; those before are not in it. */
async function peakTensorBytes(length: number, headDim: number, mask: Mask): Promise<number> {
  const before = tf.memory().numBytes;
  const { peakBytes } = await tf.profile(() => {
    const x = tf.tensor(draw(3, length * headDim), [1, length, 1, headDim]);
    const f = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      toFloat32(memoryEfficientAttention(q, k, v, mask));
    const gradients = tf.tidy(() => tf.grads(f)([x, x.clone(), x.clone()], x));
    tf.dispose([...gradients, x]);
    return [];
  });
  return peakBytes - before;
}

const scoreBytes = (length: number): number => length * length * 4;

function onOthers(backend: TestBackend): void {
  it('peak bytes at M = 8,192 are a tenth of its scores · window of 64', async () => {
    const peak = await peakTensorBytes(8192, HEAD_DIM, local());
    expect(peak).to.be.at.most(scoreBytes(8192) / 10);
  });

  const elements = 8192 * 8192;
  const slow = backend.name !== 'tensorflow';
  itUnless(
    slow ? `${elements / 2 ** 20} Mi scores take too long on ${backend.name}` : null,
    'peak bytes at M = 8,192 are half of its scores · causal',
    async () => {
      const peak = await peakTensorBytes(8192, 4, causal());
      expect(peak).to.be.at.most(scoreBytes(8192) / 2);
    },
  );
}

export function suite(backend: TestBackend): void {
  describe('memory', function () {
    this.timeout(120000);

    if (backend.name === 'webgpu') {
      onWebGPU();
    } else {
      onOthers(backend);
    }
  });
}
