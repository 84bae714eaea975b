// SPDX-License-Identifier: Apache-2.0
/** warmup: what it compiles is what the calls need, and nothing runs or stays. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import {
  attnBias,
  fusedAddRMSNorm,
  fusedLayerNorm,
  info,
  memoryEfficientAttention,
  toBFloat16,
  warmup,
} from '../../src/index.js';
import type { WarmupSpec } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { drawTensor } from '../support/draw.js';
import { withoutLeak } from '../support/leaks.js';

const compiled = (): number => info().webgpu!.compiledPrograms;

function some(...shape: number[]): tf.Tensor {
  return tf.tensor(drawTensor(5, shape), shape);
}

interface Case {
  title: string;
  spec: WarmupSpec;
  /** The call that the spec announces; other lengths are allowed. */
  call: () => tf.Tensor[];
}

// Head dims and widths that no other test uses, so that nothing is compiled before.
const CASES: Case[] = [
  {
    title: 'attention and its gradients, causal',
    spec: {
      op: 'memoryEfficientAttention',
      shapes: [[1, 8, 2, 27]],
      attnBias: new attnBias.LowerTriangularMask(),
      gradient: true,
    },
    call: () =>
      tf.grads((q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
        memoryEfficientAttention(q, k, v, new attnBias.LowerTriangularMask()),
      )([some(1, 13, 2, 27), some(1, 13, 2, 27), some(1, 13, 2, 27)]),
  },
  {
    title: 'bfloat16 attention over packed sequences, grouped heads',
    spec: {
      op: 'memoryEfficientAttention',
      shapes: [
        [1, 8, 4, 26],
        [1, 8, 2, 26],
        [1, 8, 2, 10],
      ],
      dtype: 'bfloat16',
      attnBias: attnBias.BlockDiagonalMask.fromSeqlens([3, 5]),
      options: { outputDtype: 'float32' },
    },
    call: () => [
      memoryEfficientAttention(
        toBFloat16(some(1, 9, 4, 26)),
        toBFloat16(some(1, 9, 2, 26)),
        toBFloat16(some(1, 9, 2, 10)),
        attnBias.BlockDiagonalMask.fromSeqlens([4, 5]),
        { outputDtype: 'float32' },
      ),
    ],
  },
  {
    title: 'layer norm and its gradients',
    spec: { op: 'fusedLayerNorm', shapes: [[4, 30], [30], [30]], gradient: true },
    call: () =>
      tf.grads((x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => fusedLayerNorm(x, gamma, beta))(
        [some(7, 30), some(30), some(30)],
      ),
  },
  {
    title: 'add and RMS norm to bfloat16',
    spec: {
      op: 'fusedAddRMSNorm',
      shapes: [
        [4, 30],
        [4, 30],
      ],
      options: { outputDtype: 'bfloat16' },
    },
    call: () => {
      const { output } = fusedAddRMSNorm(some(7, 30), some(7, 30), null, {
        outputDtype: 'bfloat16',
      });
      return [output.packed];
    },
  },
];

function onWebGPU(): void {
  it('compiles what a learnable bias and sink need for their gradients', async () => {
    const bias = tf.variable(some(1, 2, 5, 5));
    const sink = tf.variable(some(2));
    const shape = [1, 5, 2, 25];
    await warmup([
      {
        op: 'memoryEfficientAttention',
        shapes: [shape],
        attnBias: bias,
        options: { sink },
        gradient: true,
      },
    ]);
    const before = compiled();
    const gradients = tf.tidy(() =>
      tf.grads((q: tf.Tensor, b: tf.Tensor, s: tf.Tensor) =>
        memoryEfficientAttention(q, q.clone(), q.clone(), b, { sink: s }),
      )([some(...shape), bias, sink]),
    );
    for (const gradient of gradients) await gradient.data();
    expect(compiled()).to.equal(before);
    tf.dispose([...gradients, bias, sink]);
  });

  it('rejects what the call itself would reject', async () => {
    const error = await rejection([{ op: 'memoryEfficientAttention', shapes: [[4, 4]] }]);
    expect(error.message).to.match(/^memoryEfficientAttention: query must be of rank 3, 4 or 5/);
    const normed = fusedLayerNorm(some(1, 2));
    expect(Array.from(await normed.data())[0]).to.not.equal(0);
    normed.dispose();
  });

  it('compiles nothing for a call that is not fused', async () => {
    const before = compiled();
    await warmup([{ op: 'memoryEfficientAttention', shapes: [[1, 4, 1, 300]], gradient: true }]);
    expect(compiled()).to.equal(before);
  });
}

async function rejection(specs: unknown): Promise<Error> {
  const before = tf.memory().numTensors;
  try {
    await warmup(specs as WarmupSpec[]);
  } catch (error) {
    expect(tf.memory().numTensors - before, 'leaked tensors').to.equal(0);
    return error as Error;
  }
  throw new Error('expected a rejection');
}

const attention = { op: 'memoryEfficientAttention', shapes: [[1, 4, 1, 4]] };
const BAD: [string, unknown, typeof Error, RegExp][] = [
  ['specs that are no array', attention, TypeError, /^warmup: specs must be an array, got Object/],
  ['a spec that is no object', [3], TypeError, /specs\[0\] must be an object .* got 3/],
  ['an unknown op', [{ ...attention, op: 'matMul' }], TypeError, /specs\[0\]\.op .*'matMul'/],
  ['an unknown field', [{ ...attention, mask: 1 }], TypeError, /specs\[0\]: .*'mask'/],
  ['a missing shape', [{ op: 'fusedAddRMSNorm', shapes: [[4]] }], RangeError, /of 2 or 3 shapes/],
  ['a shape that is none', [{ ...attention, shapes: [4] }], TypeError, /\.shapes must be an array/],
  [
    'a dtype',
    [attention, { ...attention, dtype: 'int8' }],
    TypeError,
    /specs\[1\]\.dtype .*'int8'/,
  ],
  ['gradient: 1', [{ ...attention, gradient: 1 }], TypeError, /gradient must be true or false/],
  ['options: 1', [{ ...attention, options: 1 }], TypeError, /options must be an object, got 1/],
];

export function suite(backend: TestBackend): void {
  describe('warmup', function () {
    this.timeout(120000);

    for (const [title, specs, type, words] of BAD) {
      it(`rejects ${title}`, async () => {
        const error = await rejection(specs);
        expect(error).to.be.instanceOf(type);
        expect(error.message).to.match(words);
      });
    }

    for (const { title, spec, call } of CASES) {
      it(title, async () => {
        const start = backend.name === 'webgpu' ? compiled() : 0;
        await withoutLeak(() => warmup([spec, spec]));
        if (backend.name !== 'webgpu') return;
        const before = compiled();
        expect(before).to.be.greaterThan(start);
        const outputs = tf.tidy(call);
        for (const output of outputs) await output.data();
        tf.dispose(outputs);
        expect(compiled()).to.equal(before);
      });
    }

    if (backend.name === 'webgpu') onWebGPU();
  });
}
