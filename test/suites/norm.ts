// SPDX-License-Identifier: Apache-2.0
/** Layer norm and RMS norm against the golden values and the float64 reference. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { fusedAddLayerNorm, fusedLayerNorm, fusedRMSNorm, toFloat32 } from '../../src/index.js';
import { extraNormCases, goldenNormCases } from '../cases/norm.js';
import type { NormCase } from '../cases/norm.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { draw } from '../support/draw.js';
import { loadGolden } from '../support/golden.js';
import { withoutLeak } from '../support/leaks.js';
import { inDType, once } from '../support/naive.js';
import { referenceNorm, referenceNormGradients } from '../support/reference_norm.js';
import { runNorm, runNormGradients, seedNorm } from '../support/seeded_norm.js';
import type { NormInputName } from '../support/seeded_norm.js';

export function title(c: NormCase): string {
  const kind = `${c.rms ? 'rms' : 'layer'}${c.residual ? ' + residual' : ''}`;
  return `${c.name} · [${c.shape.join(', ')}] ${kind} · ${c.dtype}`;
}

function unitOf(c: NormCase): number | 'largest' {
  return c.xscale === 1 && c.xoffset === 0 ? 1 : 'largest';
}

export async function checkForward(c: NormCase, wanted: ArrayLike<number> | null): Promise<void> {
  const s = seedNorm(c);
  const run = await runNorm(c, s);
  const dtype = c.outputDtype ?? c.dtype;
  expect(run.shape).to.deep.equal(c.shape);
  expect(run.dtype).to.equal(dtype);
  const want = referenceNorm(s.problem);
  expectClose(`${c.name}: output`, run.output, wanted ?? want.output, {
    kind: 'forward',
    dtype,
    unit: unitOf(c),
    naive: () => inDType(referenceNorm(s.problem, Math.fround).output, dtype),
  });
  if (c.residual) {
    expectSameBits(`${c.name}: sum`, run.sum!, Float32Array.from(want.sum));
  }
}

async function checkGradients(
  c: NormCase,
  wanted: (name: NormInputName) => ArrayLike<number>,
): Promise<void> {
  const s = seedNorm(c);
  const gradients = await runNormGradients(c, s);
  const naive = once(() => referenceNormGradients(s.problem, s.dy, s.dsum, Math.fround));
  for (const [name, got] of Object.entries(gradients) as [NormInputName, Float32Array][]) {
    const key = name === 'residual' ? 'x' : name;
    expectClose(`${c.name}: gradient of ${name}`, got, wanted(name), {
      kind: 'gradient',
      dtype: c.dtype,
      unit: unitOf(c),
      naive: () => inDType(naive()[key], c.dtype),
    });
  }
}

export async function checkGoldenForward(backend: TestBackend, c: NormCase): Promise<void> {
  const golden = await loadGolden(backend, 'layernorm');
  await checkForward(c, golden.float32(`${c.name}/y`));
}

export async function checkGoldenGradients(backend: TestBackend, c: NormCase): Promise<void> {
  const golden = await loadGolden(backend, 'layernorm');
  await checkGradients(c, (name) => golden.float32(`${c.name}/d${name}`));
}

export async function checkReferenceGradients(c: NormCase): Promise<void> {
  const s = seedNorm(c);
  const want = referenceNormGradients(s.problem, s.dy, s.dsum);
  await checkGradients(c, (name) => want[name === 'residual' ? 'x' : name]);
}

export async function checkRerun(c: NormCase): Promise<void> {
  const s = seedNorm(c);
  const [first, second] = [await runNorm(c, s), await runNorm(c, s)];
  expectSameBits('output', first.output, second.output);
  const [a, b] = [await runNormGradients(c, s), await runNormGradients(c, s)];
  for (const name of Object.keys(a) as NormInputName[]) {
    expectSameBits(`gradient of ${name}`, a[name]!, b[name]!);
  }
}

export function suite(backend: TestBackend): void {
  describe('norm', function () {
    this.timeout(60000);

    describe('golden', () => {
      for (const c of goldenNormCases) {
        it(`${title(c)} · forward`, () => checkGoldenForward(backend, c));
        it(`${title(c)} · gradients`, () => checkGoldenGradients(backend, c));
      }
    });

    describe('against the float64 reference', () => {
      for (const c of extraNormCases) {
        it(`${title(c)} · forward`, () => checkForward(c, null));
        it(`${title(c)} · gradients`, () => checkReferenceGradients(c));
      }
    });

    it('gives the same bits again, forward and backward', async () => {
      const byName = new Map(goldenNormCases.map((c) => [c.name, c]));
      await checkRerun(byName.get('tall')!);
      await checkRerun(byName.get('rms_residual_bf16')!);
    });

    it('works without rows and without channels, with zero gradients of the weights', async () => {
      await withoutLeak(async () => {
        for (const shape of [
          [0, 8],
          [2, 0, 8],
          [3, 0],
        ]) {
          const channels = shape[shape.length - 1]!;
          const [output, dgamma] = tf.tidy(() => {
            const x = tf.zeros(shape);
            const gamma = tf.ones([channels]);
            const f = (g: tf.Tensor) => toFloat32(fusedLayerNorm(x, g));
            return [fusedLayerNorm(x, gamma), tf.grad(f)(gamma, tf.zeros(shape))];
          });
          expect(output.shape).to.deep.equal(shape);
          expect(Array.from(await output.data())).to.deep.equal([]);
          expect(Array.from(await dgamma.data())).to.deep.equal(new Array(channels).fill(0));
          tf.dispose([output, dgamma]);
        }
      });
    });

    it('norms 65,537 rows, forward and backward', async () => {
      const rows = 65537;
      const channels = 4;
      await withoutLeak(async () => {
        const x = draw(77, rows * channels);
        const gamma = draw(78, channels);
        const dy = draw(79, rows * channels);
        const [output, dx, dgamma] = tf.tidy(() => {
          const xs = [tf.tensor(x, [rows, channels]), tf.tensor(gamma)];
          const f = (a: tf.Tensor, g: tf.Tensor) => fusedLayerNorm(a, g);
          const [dx, dgamma] = tf.grads(f)(xs, tf.tensor(dy, [rows, channels]));
          return [f(xs[0]!, xs[1]!), dx!, dgamma!];
        });
        const problem = { rows, channels, x, gamma, rms: false, epsilon: 1e-5 };
        const want = referenceNormGradients(problem, dy);
        const naive = once(() => referenceNormGradients(problem, dy, null, Math.fround));
        const outputs = (await output.data()) as Float32Array;
        expectClose('output', outputs, referenceNorm(problem).output, {
          kind: 'forward',
          dtype: 'float32',
          naive: () => referenceNorm(problem, Math.fround).output,
        });
        const rule = { kind: 'gradient', dtype: 'float32' } as const;
        expectClose('dx', (await dx.data()) as Float32Array, want.x, {
          ...rule,
          naive: () => naive().x,
        });
        expectClose('dgamma', (await dgamma.data()) as Float32Array, want.gamma, {
          ...rule,
          unit: 'largest',
          naive: () => naive().gamma,
        });
        tf.dispose([output, dx, dgamma]);
      });
    });

    it('gives beta where C is 1 or the values of a row are equal', async () => {
      await withoutLeak(async () => {
        for (const shape of [
          [5, 1],
          [3, 37],
        ]) {
          const channels = shape[1]!;
          const output = tf.tidy(() =>
            fusedLayerNorm(tf.fill(shape, 3.5), tf.ones([channels]), tf.fill([channels], 0.25)),
          );
          const values = Array.from(await output.data());
          output.dispose();
          expect(values).to.deep.equal(new Array(shape[0]! * channels).fill(0.25));
        }
      });
    });

    it('keeps a NaN in its row', async () => {
      await withoutLeak(async () => {
        const [rows, channels, bad] = [6, 20, 2];
        const clean = draw(5, rows * channels);
        const dirty = clean.slice();
        dirty[bad * channels + 3] = NaN;
        const run = async (x: Float32Array) => {
          const [output, dx] = tf.tidy(() => {
            const input = tf.tensor(x, [rows, channels]);
            const f = (a: tf.Tensor) => fusedRMSNorm(a, tf.ones([channels]));
            return [f(input), tf.grad(f)(input, tf.ones([rows, channels]))];
          });
          const values = [await output.data(), await dx.data()] as [Float32Array, Float32Array];
          tf.dispose([output, dx]);
          return values;
        };
        const [want, got] = [await run(clean), await run(dirty)];
        for (const index of [0, 1] as const) {
          const others = (values: Float32Array) =>
            values.filter((_, i) => Math.floor(i / channels) !== bad);
          expectSameBits('other rows', others(got[index]), others(want[index]));
        }
        const row = Array.from(got[0].slice(bad * channels, (bad + 1) * channels));
        expect(row.every(Number.isNaN), `the row of the NaN is ${row.join(', ')}`).to.equal(true);
      });
    });

    it('returns a sum that is a tensor of its own', async () => {
      await withoutLeak(async () => {
        const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
        const residual = tf.tensor2d([1, 1, 1, 1], [2, 2]);
        const both = fusedAddLayerNorm(x, residual);
        tf.dispose([x, residual, both.output]);
        expect(Array.from(await both.residual.data())).to.deep.equal([2, 3, 4, 5]);
        both.residual.dispose();
      });
    });
  });
}
