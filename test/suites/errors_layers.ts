// SPDX-License-Identifier: Apache-2.0
/** What the layers reject: class, words, no leak. */
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { layers } from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections, words, wrong } from '../support/rejection.js';
import type { Rejected, TensorPool } from '../support/rejection.js';

type Make = (args: Record<string, unknown>) => tfl.layers.Layer;

const qkNorm: Make = (args) => layers.qkNormAttention(wrong(args));
const attention: Make = (args) => layers.memoryEfficientAttention(wrong(args));

/** A row of an argument that is rejected. */
function argument(
  op: string,
  make: Make,
  name: string,
  value: unknown,
  type: typeof Error,
  expected: string,
): Rejected {
  const got = typeof value === 'number' || typeof value === 'string' ? `${value}` : '';
  const title = `${op} with ${name} ${String(value)}`;
  return [title, () => make({ [name]: value }), type, words(op, name, expected, got)];
}

/** What both layers reject. */
function sharedRows(op: string, make: Make): Rejected[] {
  const row = (name: string, value: unknown, type: typeof Error, expected: string) =>
    argument(op, make, name, value, type, expected);
  const call = (
    title: string,
    inputs: (t: TensorPool) => unknown,
    argument: string,
    expected: string,
    got: string,
  ): Rejected => [
    `${op} of ${title}`,
    (t) => make({}).apply(inputs(t) as tf.Tensor[]),
    RangeError,
    words(op, argument, expected, got),
  ];
  return [
    [
      `${op} made with a number`,
      () => make(wrong(5)),
      TypeError,
      words(op, 'options', 'an object', '5'),
    ],
    [
      `${op} with an unknown argument`,
      () => make({ casual: true }),
      TypeError,
      words(op, 'options', 'causal, windowSize, scale, dropout', "the unknown option 'casual'"),
    ],
    row('causal', 1, TypeError, 'true or false'),
    row('windowSize', 0, RangeError, 'a whole number above 0'),
    row('windowSize', 2.5, RangeError, 'a whole number above 0'),
    row('windowSize', '4', TypeError, 'a whole number above 0'),
    row('scale', Infinity, RangeError, 'a finite number'),
    row('dropout', 1, RangeError, 'at least 0 and below 1'),
    row('dropout', -0.1, RangeError, 'at least 0 and below 1'),
    row('seed', 1.5, RangeError, 'a whole number of 32 bits'),
    row('softcap', 0, RangeError, 'finite and above 0'),
    call('one input', (t) => t.f32(1, 4, 2, 8), 'inputs', 'three, [query, key, value]', '1'),
    call('two inputs', (t) => [t.f32(1, 4, 2, 8), t.f32(1, 4, 2, 8)], 'inputs', 'three', '2'),
    call('four inputs', (t) => [0, 1, 2, 3].map(() => t.f32(1, 4, 2, 8)), 'inputs', 'three', '4'),
    call(
      'rank 3',
      (t) => [t.f32(1, 4, 8), t.f32(1, 4, 8), t.f32(1, 4, 8)],
      'query',
      'of rank 4, [B, M, H, K]',
      '[1, 4, 8]',
    ),
    call(
      'head dims that differ',
      (t) => [t.f32(1, 4, 2, 8), t.f32(1, 4, 2, 6), t.f32(1, 4, 2, 8)],
      'key',
      'of head dim 8',
      '[1, 4, 2, 6]',
    ),
    call(
      'heads that do not divide',
      (t) => [t.f32(1, 4, 3, 8), t.f32(1, 4, 2, 8), t.f32(1, 4, 2, 8)],
      'key',
      "that divides query's 3",
      '[1, 4, 2, 8]',
    ),
    call(
      'values without keys',
      (t) => [t.f32(1, 4, 2, 8), t.f32(1, 4, 2, 8), t.f32(1, 5, 2, 8)],
      'value',
      'of 4 rows',
      '[1, 5, 2, 8]',
    ),
  ];
}

/** What the normalization layers reject. */
function normalizationRows(): Rejected[] {
  const layerNorm: Make = (args) => layers.fusedLayerNormalization(wrong(args));
  const rmsNorm: Make = (args) => layers.fusedRMSNormalization(wrong(args));
  const [layer, rms] = ['fusedLayerNormalization', 'fusedRMSNormalization'] as const;
  const unknown = (op: string, make: Make, name: string): Rejected => [
    `${op} with the unknown argument ${name}`,
    () => make({ [name]: 1 }),
    TypeError,
    words(op, 'options', 'axis, epsilon, scale', `the unknown option '${name}'`),
  ];
  return [
    unknown(layer, layerNorm, 'eps'),
    unknown(rms, rmsNorm, 'center'),
    argument(layer, layerNorm, 'axis', 1.5, TypeError, 'a whole number'),
    argument(layer, layerNorm, 'epsilon', 0, RangeError, 'positive'),
    argument(layer, layerNorm, 'gammaInitializer', 'nope', RangeError, 'a registered initializer'),
    argument(rms, rmsNorm, 'weightOffset', Infinity, RangeError, 'finite'),
    [
      `${layer} over an axis that is not there`,
      (t) => layerNorm({ axis: 3 }).apply(t.f32(2, 4, 8)),
      RangeError,
      words(layer, 'axis', 'from -3 to 2', '3'),
    ],
    [
      `${layer} of two tensors`,
      (t) => layerNorm({}).apply([t.f32(2, 8), t.f32(2, 8)]),
      RangeError,
      words(layer, 'inputs', 'one tensor', '2'),
    ],
  ];
}

const QK = 'qkNormAttention';

function qkNormRows(): Rejected[] {
  const row = (name: string, value: unknown, type: typeof Error, expected: string) =>
    argument(QK, qkNorm, name, value, type, expected);
  const together = (args: Record<string, unknown>, name: string, expected: string): Rejected => [
    `${QK} with ${Object.keys(args).join(' and ')} that exclude each other`,
    () => qkNorm(args),
    RangeError,
    words(QK, name, expected, ''),
  ];
  const wrapped = (args: Record<string, unknown>): Record<string, unknown> => ({
    ...args,
    qNorm: tfl.layers.layerNormalization(),
  });
  return [
    row('norm', 'batch', RangeError, "'layer', 'rms', 'l2', 'none'"),
    row('norm', 3, TypeError, "'layer', 'rms', 'l2', 'none'"),
    row('castTo', 'float16', RangeError, "'bfloat16', 'float32'"),
    row('castStrategy', 'weight', RangeError, "'output', 'weights'"),
    row('perHead', 0, TypeError, 'true or false'),
    row('sharedAcrossHeads', 'no', TypeError, 'true or false'),
    row('epsilon', 0, RangeError, 'positive'),
    row('weightOffset', '1', TypeError, 'a number'),
    row('qNorm', 5, TypeError, 'a layer of tf.layers'),
    row('rope', 5, TypeError, 'true, or an object'),
    [
      `${QK} with an unknown name in rope`,
      () => qkNorm({ rope: { theta: 1e6 } }),
      TypeError,
      words(QK, 'options', 'base, dim, interleaved, scaling', "the unknown option 'theta'"),
    ],
    [
      `${QK} with rope of more channels than a head has`,
      (t) => {
        const x = t.f32(1, 4, 2, 8);
        return qkNorm({ norm: 'none', rope: { dim: 10 } }).apply([x, x, x]);
      },
      RangeError,
      words(QK, 'rope.dim', 'at most 8', '10'),
    ],
    [
      `${QK} with positions of other rows`,
      (t) => {
        const x = t.f32(1, 4, 2, 8);
        return qkNorm({ norm: 'none', rope: true }).apply([x, x, x], { positions: [0, 1] });
      },
      RangeError,
      words(QK, 'positions', 'of 4 numbers', '[2]'),
    ],
    [
      `${QK} with a class that nobody registered`,
      () => qkNorm({ kNorm: { className: 'NoSuchNorm', config: {} } }),
      RangeError,
      words(QK, 'kNorm', 'of a registered layer class', "'NoSuchNorm'"),
    ],
    [
      `${QK} with one layer for both`,
      () => {
        const norm = tfl.layers.layerNormalization();
        return qkNorm({ qNorm: norm, kNorm: norm });
      },
      RangeError,
      words(QK, 'kNorm', 'another layer than qNorm', 'the same one'),
    ],
    together({ norm: 'none', useGamma: true }, 'useGamma', "false with norm 'none'"),
    together({ norm: 'rms', useBeta: true }, 'useBeta', "false with norm 'rms'"),
    together({ norm: 'layer', weightOffset: 1 }, 'weightOffset', "0 with norm 'layer'"),
    together({ norm: 'l2', epsilon: 1e-30 }, 'epsilon', "at least 1e-16 with norm 'l2'"),
    together(wrapped({ castStrategy: 'weights' }), 'qNorm', "castStrategy 'weights'"),
    together(wrapped({ sharedAcrossHeads: false }), 'qNorm', 'sharedAcrossHeads false'),
    [
      `${QK} of int32 queries`,
      (t) =>
        qkNorm({ norm: 'none' }).apply([
          t.of('int32', [1, 4, 2, 8]),
          t.f32(1, 4, 2, 8),
          t.f32(1, 4, 2, 8),
        ]),
      TypeError,
      words(QK, 'query', 'float32 or bfloat16', 'int32'),
    ],
    [
      `${QK} of heads that are not known`,
      () => qkNorm({}).apply([0, 1, 2].map(() => tfl.input({ shape: [4, null, 8] }))),
      RangeError,
      words(QK, 'query', 'of known heads and head dim', '[null, 4, null, 8]'),
    ],
    [
      `${QK} in call() before it is built`,
      (t) => {
        const x = t.f32(1, 4, 2, 8);
        return (qkNorm({}) as layers.QKNormAttention).call([x, x, x], {});
      },
      RangeError,
      words(QK, 'inputs', 'a layer that is built', 'the first ones'),
    ],
    [
      `${QK} of another shape than it was built for`,
      (t) => {
        const layer = qkNorm({ norm: 'none' });
        layer.build([
          [1, 4, 2, 8],
          [1, 4, 2, 8],
          [1, 4, 2, 8],
        ]);
        const x = t.f32(1, 4, 2, 6);
        return layer.call([x, x, x], {});
      },
      RangeError,
      words(QK, 'query', 'of 2 heads and head dim 8', '[1, 4, 2, 6]'),
    ],
    [
      `${QK} with a layer that changes the shape`,
      (t) => {
        const x = t.f32(1, 4, 2, 8);
        return qkNorm({ norm: 'none', qNorm: tfl.layers.flatten() }).apply([x, x, x]);
      },
      RangeError,
      words(QK, 'qNorm', 'a layer [1, 4, 2, 8] -> [1, 4, 2, 8]', '[1, 64]'),
    ],
  ];
}

export function suite(_backend: TestBackend): void {
  describeRejections('errors of the layers', [
    ...normalizationRows(),
    ...sharedRows('memoryEfficientAttention', attention),
    ...sharedRows(QK, qkNorm),
    ...qkNormRows(),
  ]);
}
