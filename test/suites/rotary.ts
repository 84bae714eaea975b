// SPDX-License-Identifier: Apache-2.0
/** rotaryEmbedding against its definition in complex numbers; positions, scalings, dtypes, gradients, errors. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { rotaryEmbedding, toBFloat16 } from '../../src/index.js';
import type { RotaryEmbeddingOptions, RotaryScaling } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { referenceRotary } from '../support/reference_rotary.js';
import type { ReferenceRotary } from '../support/reference_rotary.js';
import { describeRejections, words, wrong } from '../support/rejection.js';

const OP = 'rotaryEmbedding';
const FORWARD = { kind: 'forward', dtype: 'float32' } as const;
const [B, M, H, K] = [2, 5, 3, 16];
const SHAPE: [number, number, number, number] = [B, M, H, K];
const values = drawTensor(1000, SHAPE);
const listed = [
  [0, 3, 1, 700, 2.5],
  [9, 8, 7, -6, 5],
];

type Case = [title: string, options: RotaryEmbeddingOptions<undefined>, reference: ReferenceRotary];
const cases: Case[] = [
  ['half-split pairs', {}, {}],
  ['neighbours as pairs', { interleaved: true }, { interleaved: true }],
  ['some channels', { dim: 6, base: 1e6 }, { dim: 6, base: 1e6 }],
  [
    'some channels, neighbours as pairs',
    { dim: 10, interleaved: true },
    { dim: 10, interleaved: true },
  ],
  ['far from the start', { offset: 131072 }, {}],
  ['positions', { positions: [4, 0, 2, 2, 100000] }, {}],
  ['positions of each item', { positions: listed }, {}],
];

/**
 * Frequencies for head dim 16 and base 500000: computed once in numpy, float64, from the formulas of
 * transformers' modeling_rope_utils.py.
 */
const scaled: [RotaryScaling, frequencies: number[], factor: number][] = [
  [
    { type: 'linear', factor: 8 },
    [
      0.125, 0.02424034309358572, 0.004700753866357992, 0.0009115830921521386,
      0.00017677669529663688, 3.428102195952591e-5, 6.647869871181236e-6, 1.2891731721515574e-6,
    ],
    1,
  ],
  [
    { type: 'llama3', factor: 8, originalMaxPositionEmbeddings: 8192 },
    [
      1.0, 0.19392274474868576, 0.03760603093086393, 0.0072926647372171085, 0.0005248461609929547,
      3.428102195952591e-5, 6.647869871181236e-6, 1.2891731721515574e-6,
    ],
    1,
  ],
  [
    { type: 'yarn', factor: 4, originalMaxPositionEmbeddings: 32768 },
    [
      1.0, 0.19392274474868576, 0.03760603093086393, 0.0072926647372171085, 0.0010606601717798214,
      0.00013712408783810365, 1.3295739742362472e-5, 2.578346344303115e-6,
    ],
    1.138629436111989,
  ],
];

function positionOf(options: RotaryEmbeddingOptions): (b: number, m: number) => number {
  const { offset = 0, positions } = options;
  if (!positions) return (_b, m) => offset + m;
  return (b, m) => {
    const row = positions[Array.isArray(positions[0]) ? b : m]!;
    return typeof row === 'number' ? row : row[m]!;
  };
}

export function suite(_backend: TestBackend): void {
  describe('rotary embedding', () => {
    for (const [title, options, reference] of cases) {
      it(`is its definition: ${title}`, () =>
        withoutLeak(async () => {
          const got = await valuesOf(() => rotaryEmbedding(tf.tensor(values, SHAPE), options));
          const want = referenceRotary(values, SHAPE, positionOf(options), reference);
          expectClose('rotated', got, want, FORWARD);
        }));
    }

    for (const [scaling, frequencies, factor] of scaled) {
      it(`turns as transformers do with scaling ${scaling.type}`, () =>
        withoutLeak(async () => {
          const options = { base: 500000, scaling, offset: 7000 };
          const got = await valuesOf(() => rotaryEmbedding(tf.tensor(values, SHAPE), options));
          const reference = { frequencies, factor };
          const want = referenceRotary(values, SHAPE, positionOf(options), reference);
          expectClose('rotated', got, want, FORWARD);
        }));
    }

    it('takes one head, and no rows', () =>
      withoutLeak(async () => {
        const one = await valuesOf(() =>
          rotaryEmbedding(tf.tensor(values.slice(0, M * K), [1, M, K])),
        );
        const want = referenceRotary(values.slice(0, M * K), [1, M, 1, K], (_b, m) => m);
        expectClose('rotated', one, want, FORWARD);
        const none = tf.tidy(() => rotaryEmbedding(tf.zeros([2, 0, 3, K])));
        expect(none.shape).to.deep.equal([2, 0, 3, K]);
        none.dispose();
      }));

    it('rounds once to bfloat16, of either dtype', () =>
      withoutLeak(async () => {
        const half = tf.tidy(() => toBFloat16(tf.tensor(values, SHAPE)));
        const rounded = await (half.data() as Promise<Float32Array>);
        const want = referenceRotary(rounded, SHAPE, (_b, m) => m);
        const same = tf.tidy(() => rotaryEmbedding(half));
        const narrowed = tf.tidy(() =>
          rotaryEmbedding(tf.tensor(rounded, SHAPE), { outputDtype: 'bfloat16' }),
        );
        const wide = tf.tidy(() => rotaryEmbedding(half, { outputDtype: 'float32' }));
        const rule = { kind: 'forward', dtype: 'bfloat16' } as const;
        for (const x of [same, narrowed]) {
          expect(x.dtype).to.equal('bfloat16');
          expectClose('rotated', await (x.data() as Promise<Float32Array>), want, rule);
        }
        expectClose('rotated', await wide.data(), want, FORWARD);
        tf.dispose([half, same, narrowed, wide]);
      }));

    for (const [title, options, reference] of cases.slice(0, 4)) {
      it(`its gradient turns back: ${title}`, () =>
        withoutLeak(async () => {
          const dy = drawTensor(1001, SHAPE);
          const got = await valuesOf(() => {
            const rotated = (x: tf.Tensor) => rotaryEmbedding(x, { ...options, offset: 3 });
            return tf.grad(rotated)(tf.tensor(values, SHAPE), tf.tensor(dy, SHAPE));
          });
          const back = referenceRotary(dy, SHAPE, (_b, m) => -3 - m, reference);
          expectClose('gradient', got, back, { kind: 'gradient', dtype: 'float32' });
        }));
    }

    it('depends on distances alone in a product of two', () =>
      withoutLeak(async () => {
        const product = (offset: number) =>
          valuesOf(() => {
            const [q, k] = [0, 1].map((i) =>
              tf.tensor(drawTensor(1002 + i, [1, M, 1, K]), [1, M, 1, K]),
            );
            const [a, b] = [q!, k!].map((x) => tf.reshape(rotaryEmbedding(x, { offset }), [M, K]));
            return tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true);
          });
        expectClose('scores', await product(100), await product(0), {
          ...FORWARD,
          unit: 'largest',
        });
      }));

    it('gives the same bits again', () =>
      withoutLeak(async () => {
        const long = () => valuesOf(() => rotaryEmbedding(tf.ones([1, 300, 1, K])));
        expectSameBits('rotated', await long(), await long());
      }));
  });

  describeRejections('errors of rotary embedding', [
    [
      'an unknown option',
      (t) => rotaryEmbedding(t.f32(...SHAPE), wrong({ theta: 5 })),
      TypeError,
      words(OP, 'options', 'offset, positions, outputDtype, base', "the unknown option 'theta'"),
    ],
    [
      'int32',
      (t) => rotaryEmbedding(t.of('int32', SHAPE)),
      TypeError,
      words(OP, 'x', 'float32 or bfloat16', 'int32'),
    ],
    [
      'rank 2',
      (t) => rotaryEmbedding(t.f32(4, 8)),
      RangeError,
      words(OP, 'x', 'of rank 4, [B, M, H, K]', '[4, 8]'),
    ],
    [
      'an odd head dim',
      (t) => rotaryEmbedding(t.f32(1, 4, 2, 7)),
      RangeError,
      words(OP, 'options.dim', 'even and at most 7', '7'),
    ],
    [
      'more channels than there are',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { dim: 32 }),
      RangeError,
      words(OP, 'options.dim', 'at most 16', '32'),
    ],
    [
      'an odd number of channels',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { dim: 5 }),
      RangeError,
      words(OP, 'options.dim', 'an even whole number', '5'),
    ],
    [
      'base 0',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { base: 0 }),
      RangeError,
      words(OP, 'options.base', 'above 0', '0'),
    ],
    [
      'too few positions',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { positions: [1, 2] }),
      RangeError,
      words(OP, 'options.positions', 'of 5 numbers', '[2]'),
    ],
    [
      'positions of too few items',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { positions: [[1, 2, 3, 4, 5]] }),
      RangeError,
      words(OP, 'options.positions', 'in 2 lists', '1 lists of [5]'),
    ],
    [
      'positions that are a tensor',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { positions: wrong(t.of('int32', [5])) }),
      TypeError,
      words(OP, 'options.positions', 'an array of finite numbers', 'Tensor'),
    ],
    [
      'positions and an offset',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { positions: [1, 2, 3, 4, 5], offset: 1 }),
      RangeError,
      words(OP, 'options.offset', 'left out with positions', '1'),
    ],
    [
      'an offset that is NaN',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { offset: NaN }),
      TypeError,
      words(OP, 'options.offset', 'a finite number', 'NaN'),
    ],
    [
      'a scaling of no known type',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { scaling: wrong({ type: 'dynamic', factor: 2 }) }),
      RangeError,
      words(OP, 'options.scaling', "'linear', 'llama3', 'yarn'", "type 'dynamic'"),
    ],
    [
      'a scaling without its numbers',
      (t) => rotaryEmbedding(t.f32(...SHAPE), { scaling: wrong({ type: 'llama3', factor: 8 }) }),
      TypeError,
      words(OP, 'options.scaling.originalMaxPositionEmbeddings', 'above 0', 'null'),
    ],
    [
      'a scaling with an unknown number',
      (t) =>
        rotaryEmbedding(t.f32(...SHAPE), {
          scaling: wrong({ type: 'linear', factor: 8, beta: 1 }),
        }),
      TypeError,
      words(OP, 'options.scaling', 'made of type, factor', "the unknown name 'beta'"),
    ],
  ]);
}
