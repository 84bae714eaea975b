// SPDX-License-Identifier: Apache-2.0
/**
 * Peak memory of one training step of attention (forward and all three gradients), plain tfjs ops
 * against memoryEfficientAttention, and how far their outputs are apart.
 *
 *     node --import tsx benchmarks/attention_memory.ts [--backend webgpu|cpu|tensorflow]
 *         [--lengths 512,1024,2048] [--heads 8] [--dim 64]
 *
 * Bytes are those of the backend's buffers on webgpu and of tfjs' tensors elsewhere; the inputs and
 * the gradients are in them. Plain tfjs gets the layout that suits it, [B, H, M, D], so that it
 * spends nothing on transposing.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';
import { provideWebGPU } from '../scripts/node_webgpu.js';
import { memoryEfficientAttention } from '../src/index.js';

const { values: options } = parseArgs({
  options: {
    backend: { type: 'string', default: 'webgpu' },
    lengths: { type: 'string', default: '512,1024,2048' },
    heads: { type: 'string', default: '8' },
    dim: { type: 'string', default: '64' },
  },
});

type Attention = (q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** What a user of tfjs writes. */
const plain: Attention = (q, k, v) => {
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape.at(-1)!));
  return tf.matMul(tf.softmax(scores), v);
};

const ours: Attention = (q, k, v) => memoryEfficientAttention(q, k, v) as Tensor;

interface BufferManager {
  numBytesUsed: number;
  acquireBuffer(...args: unknown[]): unknown;
}

/** Peak bytes of GPU buffers, counted where the backend takes them. */
async function peakGPUBytes(manager: BufferManager, run: () => Promise<void>): Promise<number> {
  const acquire = manager.acquireBuffer.bind(manager);
  let peak = 0;
  manager.acquireBuffer = (...args) => {
    const buffer = acquire(...args);
    peak = Math.max(peak, manager.numBytesUsed);
    return buffer;
  };
  await run();
  manager.acquireBuffer = acquire;
  return peak;
}

async function peakTensorBytes(run: () => Promise<void>): Promise<number> {
  const { peakBytes } = await tf.profile(async () => {
    await run();
    return tf.scalar(0);
  });
  return peakBytes;
}

/** One step; the gradients are read to the end and thrown away. */
async function step(attention: Attention, inputs: Tensor[]): Promise<void> {
  const f = (q: Tensor, k: Tensor, v: Tensor) => tf.sum(tf.square(attention(q, k, v)));
  const gradients = tf.tidy(() => tf.grads(f)(inputs));
  for (const gradient of gradients) await gradient.data();
  tf.dispose(gradients);
}

async function measure(attention: Attention, shape: number[]) {
  const inputs = [1, 2, 3].map((seed) => tf.randomNormal(shape, 0, 1, 'float32', seed));
  const { bufferManager } = tf.backend() as unknown as { bufferManager?: BufferManager };
  const run = () => step(attention, inputs);
  const bytes = await (bufferManager ? peakGPUBytes(bufferManager, run) : peakTensorBytes(run));
  const output = tf.tidy(() => attention(inputs[0]!, inputs[1]!, inputs[2]!));
  const values = await output.data<'float32'>();
  tf.dispose([inputs, output]);
  return { bytes, values };
}

/** The same inputs for both: plain works on [B, H, M, D], ours on [B, M, H, D] with heads as batch. */
async function compare(length: number, heads: number, dim: number): Promise<string> {
  const without = await measure(plain, [1, heads, length, dim]);
  const fused = await measure(ours, [heads, length, 1, dim]);
  const apart = without.values.reduce(
    (most, value, index) => Math.max(most, Math.abs(value - fused.values[index]!)),
    0,
  );
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const cells = [
    length,
    mb(without.bytes),
    mb(fused.bytes),
    `${(without.bytes / fused.bytes).toFixed(1)}×`,
    apart.toExponential(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

let device = cpus()[0]!.model;
if (options.backend === 'webgpu') {
  device = await provideWebGPU('auto');
  await import('@tensorflow/tfjs-backend-webgpu');
} else if (options.backend === 'tensorflow') {
  await import('@tensorflow/tfjs-node-gpu');
}
await import('@tensorflow/tfjs');
await tf.setBackend(options.backend);

const [heads, dim] = [Number(options.heads), Number(options.dim)];
console.log(
  `Peak bytes of attention, forward and backward, float32, B = 1, H = ${heads}, D = ${dim}`,
);
console.log(
  `${options.backend} on ${device}, tfjs ${tf.version_core}, Node ${process.versions.node}, ` +
    `${new Date().toISOString().slice(0, 10)}\n`,
);
console.log('| tokens M | plain tfjs | tfjs-xformers | ratio | largest difference of outputs |');
console.log('|---|---|---|---|---|');
for (const length of options.lengths.split(',')) {
  console.log(await compare(Number(length), heads, dim));
}
process.exit(0);
