// SPDX-License-Identifier: Apache-2.0
/** tf.layers' own layer normalization, on tensors. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import type { Formula, Operands } from '../../shared/tfjs_formulas.js';
import type { Case } from '../../shared/case.js';

const EPSILON = 1e-5;

export function formulas(c: Case): Formula | string {
  if (c.op !== 'layer norm') return `no ${c.op}`;
  if (c.dtype !== 'float32') return 'no bfloat16';
  const layer = layers.layerNormalization({ epsilon: EPSILON });
  layer.build([c.rows, c.columns]);
  return {
    leaves: ['x', 'gamma', 'beta'],
    // The layer's variables take the places of the weights: gradients are taken of them, and they are
    // disposed as operands.
    convert: (x, name) => {
      if (name !== 'gamma' && name !== 'beta') return x;
      const weight = layer.weights[name === 'gamma' ? 0 : 1]!;
      weight.write(x);
      return weight.read();
    },
    forward: ({ x }: Operands) => layer.apply(x as Tensor) as Tensor,
  };
}
