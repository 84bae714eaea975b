// SPDX-License-Identifier: Apache-2.0
/** BFloat16Tensor: bits, layout, life time, gradients, bytes, errors. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { fromBFloat16Bits, isBFloat16, toBFloat16, toFloat32 } from '../../src/index.js';
import type { BFloat16Tensor } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { draw } from '../support/draw.js';
import { expectClose } from '../support/close.js';
import { loadGolden } from '../support/golden.js';
import { withoutLeak } from '../support/leaks.js';
import { skip } from '../support/report.js';

const EXPONENT = 0x7f80;
const isNaNBits = (bits: number): boolean => (bits & 0x7fff) > EXPONENT;
const isSubnormalBits = (bits: number): boolean => (bits & EXPONENT) === 0 && (bits & 0x7f) !== 0;

const hex = (bits: number | undefined): string => `0x${(bits ?? 0).toString(16).padStart(4, '0')}`;

/** Compares patterns, but for those that the backend cannot hold. */
function expectBits(
  got: Uint16Array,
  want: Uint16Array,
  skipped: (index: number) => boolean = () => false,
): void {
  expect(got.length).to.equal(want.length);
  const wrong = want.findIndex((bits, i) => !skipped(i) && got[i] !== bits);
  if (wrong >= 0) {
    throw new Error(`element ${wrong} should be ${hex(want[wrong])}, got ${hex(got[wrong])}`);
  }
}

/** Reads the bits of a tensor made in a tidy, and frees it. */
async function bitsOf(make: () => BFloat16Tensor): Promise<Uint16Array> {
  return withoutLeak(async () => {
    const x = tf.tidy(make);
    const bits = await x.bits();
    x.dispose();
    return bits;
  });
}

function floatsOf(bits: ArrayLike<number>): Float32Array {
  return new Float32Array(Uint32Array.from(bits).buffer);
}

export function suite(backend: TestBackend): void {
  const onWebGL = backend.name === 'webgl';
  const exceptions = onWebGL ? ', but for subnormals and NaN payloads, which WebGL loses' : '';
  // Subnormal results, and subnormal float32 inputs, which may be flushed before they are rounded.
  const unreliable = (bits: number) => onWebGL && (isSubnormalBits(bits) || isNaNBits(bits));

  describe('bfloat16', function () {
    this.timeout(60000);

    describe('rounding', () => {
      it(`gives every golden bit pattern${exceptions}`, async () => {
        const golden = await loadGolden(backend, 'bf16');
        const inputs = golden.values('f32_bits');
        const want = golden.values('bf16_bits') as Uint16Array;
        const got = await bitsOf(() => toBFloat16(tf.tensor1d(floatsOf(inputs))));
        const isTiny = (i: number) => (inputs[i]! & 0x7f800000) === 0;
        expectBits(got, want, (i) => onWebGL && (isTiny(i) || isSubnormalBits(want[i]!)));
      });

      it('keeps NaN a NaN', async () => {
        const golden = await loadGolden(backend, 'bf16');
        const inputs = floatsOf(golden.values('nan_f32_bits'));
        const got = await bitsOf(() => toBFloat16(tf.tensor1d(inputs)));
        expect(Array.from(got, isNaNBits)).to.deep.equal(Array.from(got, () => true));
        expect(got.length).to.equal(inputs.length);
      });

      // A signalling NaN becomes quiet, as IEEE 754 has it.
      const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
      const quiet = all.map((bits) => (isNaNBits(bits) ? bits | 0x40 : bits));

      it(`takes all 65,536 patterns in and out unchanged, NaN quiet${exceptions}`, async () => {
        const got = await bitsOf(() => fromBFloat16Bits(all, [256, 256]));
        expectBits(got, quiet, unreliable);
      });

      it(`widens and rounds all 65,536 patterns to themselves, NaN quiet${exceptions}`, async () => {
        const got = await bitsOf(() => toBFloat16(toFloat32(fromBFloat16Bits(all, [65536]))));
        expectBits(got, quiet, unreliable);
      });

      it('widens exactly', async () => {
        await withoutLeak(async () => {
          const [half, wide] = tf.tidy(() => {
            const half = toBFloat16(tf.tensor1d([1, -2.5, 3.14159, 1e38, -1e-30]));
            return [half, half.toFloat32()] as const;
          });
          expect(wide.dtype).to.equal('float32');
          expect(await wide.data()).to.deep.equal(await half.data());
          expect(Array.from(await half.data()).slice(0, 3)).to.deep.equal([1, -2.5, 3.140625]);
          tf.dispose([half.handle, wide]);
        });
      });
    });

    describe('layout', () => {
      it('packs two values to a word, the even one low, and pads an odd axis with +0', async () => {
        await withoutLeak(async () => {
          const x = fromBFloat16Bits(
            new Uint16Array([1, 2, 3, 4, 5, 6].map((n) => n << 8)),
            [2, 3],
          );
          expect([x.dtype, x.rank, x.size]).to.deep.equal(['bfloat16', 2, 6]);
          expect(x.packed.dtype).to.equal('int32');
          expect(x.packed.shape).to.deep.equal([2, 2]);
          const words = Array.from((await x.packed.data()) as Int32Array);
          expect(words).to.deep.equal([0x02000100, 0x0300, 0x05000400, 0x0600]);
          x.dispose();
        });
      });

      for (const shape of [[7], [3, 5], [2, 3, 1], [4, 6], [1, 1], [], [0], [0, 3], [3, 0]]) {
        it(`holds shape [${shape.join(', ')}]`, async () => {
          const size = shape.reduce((product, n) => product * n, 1);
          const want = Uint16Array.from({ length: size }, (_, i) => 0x3f80 + i);
          await withoutLeak(async () => {
            const x = tf.tidy(() =>
              toBFloat16(tf.tensor(floatsOf(Array.from(want, (b) => b << 16)), shape)),
            );
            expect([x.shape, x.rank, x.size]).to.deep.equal([shape, shape.length, size]);
            const last = shape[shape.length - 1] ?? 1;
            const packed = shape.length === 0 ? [1] : [...shape.slice(0, -1), Math.ceil(last / 2)];
            expect(x.packed.shape).to.deep.equal(packed);
            expectBits(await x.bits(), want);
            const wide = x.toFloat32();
            expect(wide.shape).to.deep.equal(shape);
            expect(Array.from(await wide.data())).to.deep.equal(Array.from(await x.data()));
            tf.dispose(wide);
            x.dispose();
          });
        });
      }

      for (const [from, to] of [
        [
          [4, 6],
          [2, 12],
        ],
        [
          [4, 6],
          [8, 3],
        ],
        [[3, 5], [15]],
        [
          [3, 5],
          [5, -1],
        ],
        [
          [2, 3, 5],
          [6, 5],
        ],
        [[1], []],
        [
          [0, 3],
          [3, 0],
        ],
      ] as [number[], number[]][]) {
        it(`reshapes [${from.join(', ')}] to [${to.join(', ')}]`, async () => {
          await withoutLeak(async () => {
            const size = from.reduce((product, n) => product * n, 1);
            const values = draw(3, size);
            const x = tf.tidy(() => toBFloat16(tf.tensor(values, from)));
            const y = x.reshape(to);
            const known = to.filter((n) => n >= 0).reduce((product, n) => product * n, 1);
            expect(y.shape).to.deep.equal(to.map((n) => (n < 0 ? size / known : n)));
            const want = await x.bits();
            x.dispose();
            expectBits(await y.bits(), want);
            y.dispose();
          });
        });
      }

      it('reads synchronously where the backend can', async function () {
        // Dawn in Node has no canvas, and SwiftShader in Chromium loses the device over it.
        if (backend.name === 'webgpu')
          skip(this, 'tfjs reads WebGPU synchronously through a canvas');
        await withoutLeak(() => {
          const x = fromBFloat16Bits(new Uint16Array([0x3f80, 0xc000, 0x4040]), [3]);
          expect(Array.from(x.bitsSync())).to.deep.equal([0x3f80, 0xc000, 0x4040]);
          expect(Array.from(x.dataSync())).to.deep.equal([1, -2, 3]);
          x.dispose();
        });
      });

      it('takes 2 bytes a value on the GPU', async function () {
        if (backend.name !== 'webgpu') skip(this, 'it has no GPU buffers to count');
        const bytes = () => tf.memory() as unknown as { numBytesInGPU: number };
        const before = bytes().numBytesInGPU;
        const x = tf.tidy(() => toBFloat16(tf.randomNormal([64, 1024])));
        await x.bits();
        expect(bytes().numBytesInGPU - before).to.be.at.most(64 * 1024 * 2 + 4096);
        x.dispose();
      });
    });

    describe('life time', () => {
      it('is disposed by tf.tidy unless it is returned or kept', async () => {
        await withoutLeak(async () => {
          let lost: BFloat16Tensor | null = null;
          let kept: BFloat16Tensor | null = null;
          const returned = tf.tidy(() => {
            const x = tf.tensor1d([1, 2, 3]);
            lost = toBFloat16(x);
            kept = tf.keep(toBFloat16(x) as unknown as tf.Tensor) as unknown as BFloat16Tensor;
            return toBFloat16(x);
          });
          expect([lost!.isDisposed, kept!.isDisposed, returned.isDisposed]).to.deep.equal([
            true,
            false,
            false,
          ]);
          expect(Array.from(await kept!.data())).to.deep.equal([1, 2, 3]);
          kept!.dispose();
          returned.dispose();
        });
      });

      it('is disposed by tf.dispose, also inside a container, and with its words', async () => {
        await withoutLeak(() => {
          const x = fromBFloat16Bits(new Uint16Array(6), [2, 3]);
          expect(x.packed.isDisposed).to.equal(false);
          tf.dispose({ x: [x] });
          expect(x.isDisposed).to.equal(true);
          x.dispose();
        });
      });

      it('shares data with its clone, which outlives it', async () => {
        await withoutLeak(async () => {
          const x = fromBFloat16Bits(new Uint16Array([0x3f80, 0x4000]), [2]);
          const copy = x.clone();
          x.dispose();
          expect(copy.isDisposed).to.equal(false);
          expect(Array.from(await copy.data())).to.deep.equal([1, 2]);
          copy.dispose();
        });
      });

      it('clones what has the dtype already', async () => {
        await withoutLeak(async () => {
          const wide = tf.tensor1d([1, 2]);
          const same = toFloat32(wide);
          const half = toBFloat16(wide);
          const copy = toBFloat16(half);
          expect([isBFloat16(wide), isBFloat16(half), isBFloat16(copy)]).to.deep.equal([
            false,
            true,
            true,
          ]);
          tf.dispose([wide, half.handle]);
          expect(Array.from(await same.data())).to.deep.equal([1, 2]);
          expect(Array.from(await copy.data())).to.deep.equal([1, 2]);
          same.dispose();
          copy.dispose();
        });
      });
    });

    it('lets gradients through as float32, also through reshape and clone', async () => {
      await withoutLeak(async () => {
        const dy = draw(9, 15);
        const dx = tf.tidy(() => {
          const f = (x: tf.Tensor) => toFloat32(toBFloat16(x).reshape([5, 3]).clone());
          return tf.grad(f)(tf.tensor(draw(8, 15), [3, 5]), tf.tensor(dy, [5, 3]));
        });
        expect(dx.dtype).to.equal('float32');
        expect(dx.shape).to.deep.equal([3, 5]);
        expectClose('dx', await dx.data(), dy, { kind: 'gradient', dtype: 'float32' });
        dx.dispose();
      });
    });

    it('rejects reading a disposed tensor', async () => {
      const x = toBFloat16(tf.tensor1d([1]));
      tf.dispose(x.handle);
      const error = await x.bits().then(
        () => null,
        (e: unknown) => e,
      );
      expect(String(error)).to.match(/live tensor, got a disposed BFloat16Tensor/);
    });
  });
}
