// SPDX-License-Identifier: Apache-2.0
/** QK-norm from the ops: norm that writes bfloat16, then bfloat16 attention. */
import * as tf from '@tensorflow/tfjs-core';
import {
  attnBias,
  fusedLayerNorm,
  fusedRMSNorm,
  memoryEfficientAttentionForward,
  toBFloat16,
} from '../../src/index.js';
import { qkNormCases } from '../cases/norm.js';
import type { QKNormCase } from '../cases/norm.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { drawTensor } from '../support/draw.js';
import { loadGolden } from '../support/golden.js';
import { withoutLeak } from '../support/leaks.js';
import { float32Result } from '../support/typed.js';

function run(c: QKNormCase): { output: tf.Tensor; logSumExp: tf.Tensor } {
  const channels = c.dims[3];
  const input = (offset: number, scale: number, shift: number) =>
    tf.tensor(drawTensor(c.seed + offset, c.dims, 'float32', scale, shift), [...c.dims]);
  const weight = (offset: number, scale: number, shift: number) =>
    tf.tensor(drawTensor(c.seed + offset, [channels], 'float32', scale, shift));
  const options = { epsilon: c.epsilon, outputDtype: 'bfloat16' } as const;
  const norm = (x: tf.Tensor, first: number) => {
    const gamma = weight(first, 0.2, 1);
    if (c.norm === 'rms') return fusedRMSNorm(x, gamma, options);
    return fusedLayerNorm(x, gamma, weight(first + 1, 0.3, 0), options);
  };
  const { output, logSumExp } = memoryEfficientAttentionForward(
    norm(input(0, 2, 0.3), 3),
    norm(input(1, 0.5, -0.2), 5),
    toBFloat16(input(2, 1, 0)),
    c.causal ? new attnBias.LowerTriangularMask() : null,
    { outputDtype: 'float32' },
  );
  return { output: float32Result(output), logSumExp };
}

export function suite(backend: TestBackend): void {
  describe('norm of queries and keys, then attention', function () {
    this.timeout(60000);

    for (const c of qkNormCases) {
      it(`golden ${c.name} · ${c.norm}${c.causal ? ' · causal' : ''}`, async () => {
        const golden = await loadGolden(backend, 'qknorm');
        await withoutLeak(async () => {
          const { output, logSumExp } = tf.tidy(() => run(c));
          // A normed value next to a rounding boundary may round the other way: an error of the
          // size of a bfloat16 ulp in one of D terms, so the rule for bfloat16 holds here.
          const rule = { kind: 'gradient', dtype: 'bfloat16' } as const;
          expectClose('output', await output.data(), golden.float32(`${c.name}/out`), rule);
          expectClose('logSumExp', await logSumExp.data(), golden.float32(`${c.name}/lse`), rule);
          tf.dispose([output, logSumExp]);
        });
      });
    }
  });
}
