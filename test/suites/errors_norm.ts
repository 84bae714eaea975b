// SPDX-License-Identifier: Apache-2.0
/** What the norms reject: class, words, no leak. */
import {
  fusedAddLayerNorm,
  fusedAddRMSNorm,
  fusedLayerNorm,
  fusedRMSNorm,
} from '../../src/index.js';
import type { TestBackend } from '../support/backends.js';
import { describeRejections, words, wrong } from '../support/rejection.js';
import type { Rejected, TensorPool } from '../support/rejection.js';

type Norm = (x: never, ...rest: never[]) => unknown;

/** The rows that all norms share; `call` puts x, gamma and options into their places. */
function normRows(
  op: string,
  call: (pool: TensorPool, x: unknown, gamma?: unknown, options?: unknown) => unknown,
): Rejected[] {
  const x = (t: TensorPool) => t.f32(3, 8);
  return [
    [`${op} of no tensor`, (t) => call(t, 5), TypeError, words(op, 'x', 'a tensor', '5')],
    [`${op} of null`, (t) => call(t, null), TypeError, words(op, 'x', 'a tensor', 'null')],
    [
      `${op} of int32`,
      (t) => call(t, t.of('int32', [3, 8])),
      TypeError,
      words(op, 'x', 'float32 or bfloat16', 'int32'),
    ],
    [
      `${op} of bool`,
      (t) => call(t, t.of('bool', [3, 8])),
      TypeError,
      words(op, 'x', 'float32 or bfloat16', 'bool'),
    ],
    [
      `${op} of a disposed tensor`,
      (t) => call(t, t.disposed(3, 8)),
      TypeError,
      words(op, 'x', 'a live tensor', 'disposed'),
    ],
    [
      `${op} of a disposed bfloat16 tensor`,
      (t) => call(t, t.disposedBf16(3, 8)),
      TypeError,
      words(op, 'x', 'a live tensor', 'disposed BFloat16Tensor'),
    ],
    [
      `${op} with gamma of a wrong length`,
      (t) => call(t, x(t), t.f32(7)),
      RangeError,
      words(op, 'gamma', '[8]', '[7]'),
    ],
    [
      `${op} with gamma of rank 2`,
      (t) => call(t, x(t), t.f32(1, 8)),
      RangeError,
      words(op, 'gamma', '[8]', '[1, 8]'),
    ],
    [
      `${op} with an int32 gamma`,
      (t) => call(t, x(t), t.of('int32', [8])),
      TypeError,
      words(op, 'gamma', 'float32 or bfloat16', 'int32'),
    ],
    [
      `${op} with a disposed gamma`,
      (t) => call(t, x(t), t.disposed(8)),
      TypeError,
      words(op, 'gamma', 'a live tensor', 'disposed'),
    ],
    [
      `${op} with a negative epsilon`,
      (t) => call(t, x(t), null, { epsilon: -1 }),
      RangeError,
      words(op, 'options.epsilon', '', '-1'),
    ],
    [
      `${op} with epsilon NaN`,
      (t) => call(t, x(t), null, { epsilon: NaN }),
      RangeError,
      words(op, 'options.epsilon', '', 'NaN'),
    ],
    [
      `${op} with epsilon 1e-40`,
      (t) => call(t, x(t), null, { epsilon: 1e-40 }),
      RangeError,
      words(op, 'options.epsilon', 'at least', '1e-40'),
    ],
    [
      `${op} with an epsilon in words`,
      (t) => call(t, x(t), null, { epsilon: '1e-5' }),
      TypeError,
      words(op, 'options.epsilon', '', "'1e-5'"),
    ],
    [
      `${op} with an unknown option`,
      (t) => call(t, x(t), null, { eps: 1 }),
      TypeError,
      words(op, 'options', 'epsilon', "the unknown option 'eps'"),
    ],
    [
      `${op} with options that are a number`,
      (t) => call(t, x(t), null, 1e-5),
      TypeError,
      words(op, 'options', 'an object', '0.00001'),
    ],
    [
      `${op} with an unknown outputDtype`,
      (t) => call(t, x(t), null, { outputDtype: 'float16' }),
      TypeError,
      words(op, 'options.outputDtype', "'float32' or 'bfloat16'", "'float16'"),
    ],
  ];
}

const layerNorm = fusedLayerNorm as Norm;
const rmsNorm = fusedRMSNorm as Norm;
const addLayerNorm = fusedAddLayerNorm as unknown as Norm;
const addRMSNorm = fusedAddRMSNorm as unknown as Norm;

const NORMS: readonly Rejected[] = [
  ...normRows('fusedLayerNorm', (_, x, gamma, options = {}) =>
    layerNorm(wrong(x), wrong(gamma), wrong(null), wrong(options)),
  ),
  ...normRows('fusedRMSNorm', (_, x, gamma, options = {}) =>
    rmsNorm(wrong(x), wrong(gamma), wrong(options)),
  ),
  ...normRows('fusedAddLayerNorm', (t, x, gamma, options = {}) =>
    addLayerNorm(wrong(x), wrong(t.f32(3, 8)), wrong(gamma), wrong(null), wrong(options)),
  ),
  ...normRows('fusedAddRMSNorm', (t, x, gamma, options = {}) =>
    addRMSNorm(wrong(x), wrong(t.f32(3, 8)), wrong(gamma), wrong(options)),
  ),
  [
    'fusedLayerNorm of a scalar',
    (t) => fusedLayerNorm(t.f32()),
    RangeError,
    words('fusedLayerNorm', 'x', 'rank 1 or more', 'scalar'),
  ],
  [
    'fusedLayerNorm with beta of a wrong length',
    (t) => fusedLayerNorm(t.f32(3, 8), null, t.f32(9)),
    RangeError,
    words('fusedLayerNorm', 'beta', '[8]', '[9]'),
  ],
  [
    'fusedLayerNorm with a bool beta',
    (t) => fusedLayerNorm(t.f32(3, 8), null, t.of('bool', [8])),
    TypeError,
    words('fusedLayerNorm', 'beta', 'float32', 'bool'),
  ],
  [
    'weightOffset in fusedLayerNorm',
    (t) => fusedLayerNorm(t.f32(3, 8), null, null, wrong({ weightOffset: 1 })),
    TypeError,
    words('fusedLayerNorm', 'options', 'epsilon', "'weightOffset'"),
  ],
  [
    'fusedRMSNorm with weightOffset Infinity',
    (t) => fusedRMSNorm(t.f32(3, 8), null, { weightOffset: Infinity }),
    RangeError,
    words('fusedRMSNorm', 'options.weightOffset', '', 'Infinity'),
  ],
  [
    'fusedAddLayerNorm without residual',
    (t) => addLayerNorm(wrong(t.f32(3, 8)), wrong(undefined)),
    TypeError,
    words('fusedAddLayerNorm', 'residual', 'a tensor', 'undefined'),
  ],
  [
    'fusedAddLayerNorm with a residual of another shape',
    (t) => fusedAddLayerNorm(t.f32(3, 8), t.f32(1, 8)),
    RangeError,
    words('fusedAddLayerNorm', 'residual', '[3, 8]', '[1, 8]'),
  ],
  [
    'fusedAddRMSNorm with an int32 residual',
    (t) => fusedAddRMSNorm(t.f32(3, 8), t.of('int32', [3, 8])),
    TypeError,
    words('fusedAddRMSNorm', 'residual', 'float32', 'int32'),
  ],
  [
    'fusedAddRMSNorm with a disposed residual',
    (t) => fusedAddRMSNorm(t.f32(3, 8), t.disposed(3, 8)),
    TypeError,
    words('fusedAddRMSNorm', 'residual', 'a live tensor', 'disposed'),
  ],
];

export function suite(_backend: TestBackend): void {
  describeRejections('errors: norms', NORMS);
}
