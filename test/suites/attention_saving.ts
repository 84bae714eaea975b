// SPDX-License-Identifier: Apache-2.0
/** What attention keeps for its gradient (saveDtype), and that no layout of its operands is ever copied. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import {
  attnBias,
  fusedRMSNorm,
  memoryEfficientAttention,
  memoryEfficientAttentionPacked,
} from '../../src/index.js';
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { itUnless, repeated } from '../support/cost.js';
import { dispatchesOf, peakGPUBytes } from '../support/gpu_work.js';
import { withoutLeak } from '../support/leaks.js';
import { referenceAttentionGradients } from '../support/reference_attention.js';
import { runAttention, runAttentionGradients } from '../support/run_attention.js';
import type { GradientName } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';
import { checkGradients, title } from './attention.js';

/** Each has a case of bfloat16 whose pipelines it uses on webgpu. */
const NAMES = [
  'causal_k64',
  'causal_br_tall_deadrows',
  'logSumExp has a gradient',
  'dropout, grouped heads, causal',
  'softcap and sink in bfloat16',
];

const STANDING = new Set(['causal_k64', 'softcap and sink in bfloat16', 'causal_tensor_bias']);

const all: readonly AttentionCase[] = [...goldenAttentionCases, ...extraAttentionCases];
const packed = all.find(({ name }) => name === 'causal_tensor_bias')!;
const CASES = [
  ...all.filter(({ name }) => NAMES.includes(name)),
  { ...packed, layout: 'packed' },
].map((c) => ({ ...c, saveDtype: 'bfloat16' }) as AttentionCase);

/** The gradients are those of attention at the rounded query, key and value, as close as float32 is. */
async function checkRoundedGradients(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const [query, key, value] = [s.query, s.key, s.value].map(roundToBFloat16Values) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const problem = { ...s.problem, query, key, value };
  const want = referenceAttentionGradients(problem, s.doutput, s.dlogSumExp);
  const gradients = await runAttentionGradients(c, s);
  for (const [name, got] of Object.entries(gradients) as [GradientName, Float32Array][]) {
    expectClose(`gradient of ${name}`, got, want[name]!, { kind: 'gradient', dtype: 'float32' });
  }
}

async function checkSameForward(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const kept = await runAttention(c, s);
  const exact = await runAttention({ ...c, saveDtype: 'float32' }, s);
  expectSameBits('output', kept.output, exact.output);
}

async function checkSameGradients(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const kept = await runAttentionGradients(c, s);
  const exact = await runAttentionGradients({ ...c, saveDtype: 'float32' }, s);
  for (const [name, got] of Object.entries(kept) as [GradientName, Float32Array][]) {
    expectSameBits(`gradient of ${name}`, got, exact[name]!);
  }
}

const [B, M, H, K] = [1, 96, 2, 64];
const ELEMENTS = B * M * H * K;
const causal = (): attnBias.AttentionBias => new attnBias.LowerTriangularMask();

/** Forward and backward, of operands and a gradient of the output that are there already. */
interface Step {
  name: string;
  shapes: number[][];
  doutput: number[];
  f: (...xs: tf.Tensor[]) => tf.Tensor;
}

const STEPS: Step[] = [
  {
    name: '[B, M, H, K]',
    shapes: [1, 2, 3].map(() => [B, M, H, K]),
    doutput: [B, M, H, K],
    f: (q, k, v) => memoryEfficientAttention(q!, k!, v!, causal()),
  },
  {
    name: '[B, H, M, K]',
    shapes: [1, 2, 3].map(() => [B, H, M, K]),
    doutput: [B, H, M, K],
    f: (q, k, v) => memoryEfficientAttention(q!, k!, v!, causal(), { layout: 'BHMK' }),
  },
  {
    name: 'packed [B, M, 3·H·K]',
    shapes: [[B, M, 3 * H * K]],
    doutput: [B, M, H * K],
    f: (qkv) => memoryEfficientAttentionPacked(qkv!, causal(), { numHeads: H }),
  },
];

interface Work {
  dispatches: number;
  bytes: number;
}

/** What a step makes the GPU do, when its operands are there and before its results are read. */
async function workOf({ shapes, doutput, f }: Step): Promise<Work> {
  // tf.tensor() leaves values on the CPU until a kernel wants them.
  const onGPU = (shape: number[], n: number) => tf.neg(tf.tensor(drawTensor(n, shape), shape));
  const inputs = tf.tidy(() => [...shapes, doutput].map(onGPU));
  for (const input of inputs) await input.data();
  const [xs, dy] = [inputs.slice(0, -1), inputs[inputs.length - 1]!];
  const work: Work = { dispatches: 0, bytes: 0 };
  let gradients: tf.Tensor[] = [];
  work.bytes = await peakGPUBytes(async () => {
    work.dispatches = await dispatchesOf(() => {
      gradients = tf.tidy(() => tf.grads(f)(xs, dy));
    });
  });
  for (const gradient of gradients) await gradient.data();
  tf.dispose([...gradients, ...inputs]);
  return work;
}

/** Output and the operands' gradients; logSumExp and the rows' statistics; uniforms. */
const STEP_BYTES = 4 * (4 * ELEMENTS + 3 * B * H * M);
const UNIFORM_BYTES = 4096;

/** Layers whose normed query, key and value nothing but attention keeps. */
const LAYERS = 4;

async function stack(saveDtype: 'float32' | 'bfloat16'): Promise<void> {
  const shape = [B, M, H, K];
  const gradient = tf.tidy(() => {
    const layer = (x: tf.Tensor): tf.Tensor =>
      tf.tidy(() => {
        const [q, k, v] = [fusedRMSNorm(x), fusedRMSNorm(x), fusedRMSNorm(x)];
        return memoryEfficientAttention(q, k, v, causal(), { saveDtype });
      });
    const f = (x: tf.Tensor) => Array.from({ length: LAYERS }).reduce(layer, x);
    const x = tf.tensor(drawTensor(7, shape), shape);
    return tf.grad(f)(x, tf.tensor(drawTensor(9, shape), shape));
  });
  await gradient.data();
  gradient.dispose();
}

function onWebGPU(): void {
  for (const step of STEPS) {
    it(`${step.name}: nothing is copied or transposed, forward or backward`, async () => {
      const { dispatches, bytes } = await withoutLeak(() => workOf(step));
      // The forward pass, the sums of rows, dQ, and dK and dV.
      expect(dispatches).to.equal(4);
      expect(bytes).to.be.within(STEP_BYTES, STEP_BYTES + UNIFORM_BYTES);
    });
  }

  it('saveDtype bfloat16 keeps half of query, key and value, and no output', async () => {
    const exact = await peakGPUBytes(() => withoutLeak(() => stack('float32')));
    const half = await peakGPUBytes(() => withoutLeak(() => stack('bfloat16')));
    // Each layer keeps 6 bytes less of q, k and v; while one layer is differentiated its float32 gradients are there.
    expect(exact - half).to.be.at.least(6 * ELEMENTS * (LAYERS - 2));
  });
}

export function suite(backend: TestBackend): void {
  describe('what attention keeps', function () {
    this.timeout(120000);

    for (const c of CASES) {
      const reason = repeated(backend, STANDING.has(c.name));
      itUnless(reason, `saveDtype bfloat16 · ${title(c)}`, async () => {
        await checkSameForward(c);
        await checkRoundedGradients(c);
        if (c.dtype === 'bfloat16') await checkSameGradients(c);
        await checkGradients(c);
      });
    }

    it('saveDtype bfloat16: a gradient of the bias alone, and of the sink alone', async () => {
      await withoutLeak(async () => {
        const gradients = tf.tidy(() => {
          const x = tf.tensor(drawTensor(1, [1, 5, 2, 32]), [1, 5, 2, 32]);
          const bias = tf.tensor(drawTensor(2, [1, 2, 5, 5]), [1, 2, 5, 5]);
          const sink = tf.tensor(drawTensor(3, [2]), [2]);
          const of = (saveDtype: 'float32' | 'bfloat16') => [
            tf.grad((b) => memoryEfficientAttention(x, x, x, b, { saveDtype, sink }))(bias),
            tf.grad((s) => memoryEfficientAttention(x, x, x, bias, { saveDtype, sink: s }))(sink),
          ];
          return [...of('bfloat16'), ...of('float32')];
        });
        const values = await Promise.all(gradients.map((x) => x.data()));
        tf.dispose(gradients);
        for (const n of [0, 1]) {
          const rule = { kind: 'gradient', dtype: 'bfloat16', unit: 'largest' } as const;
          expectClose('gradient', values[n]!, values[n + 2]!, rule);
        }
      });
    });

    if (backend.name === 'webgpu') onWebGPU();
  });
}
