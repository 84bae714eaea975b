// SPDX-License-Identifier: Apache-2.0
/** The model's kernels, from this package. */
import type { Tensor } from '@tensorflow/tfjs-core';

import {
  attnBias,
  fusedAddLayerNorm,
  fusedLayerNorm,
  fusedRMSNorm,
  memoryEfficientAttention,
  toBFloat16,
} from '../../src/index.js';
import type { FloatDType } from '../../src/index.js';
import type { Kernels } from './kernels.js';
import { PORTABLE, ourKernels, withoutNative } from './native.js';

/**
 * @param dtype of query, key and value. 'bfloat16' halves what attention reads and what is kept for
 *   the gradient: the norms of query and key round once, as they write.
 */
export function fusedKernels(dtype: FloatDType = 'bfloat16'): Kernels {
  const causal = new attnBias.LowerTriangularMask();
  return {
    name: ourKernels(),
    norm: (x, gamma, beta) => fusedLayerNorm(x, gamma, beta),
    addNorm: (x, residual, gamma, beta) => fusedAddLayerNorm(x, residual, gamma, beta),
    attend(query, key, value, queryGamma, keyGamma) {
      const q = fusedRMSNorm(query, queryGamma, { outputDtype: dtype });
      const k = fusedRMSNorm(key, keyGamma, { outputDtype: dtype });
      const v = dtype === 'bfloat16' ? toBFloat16(value) : value;
      return memoryEfficientAttention(q, k, v, causal, { outputDtype: 'float32' }) as Tensor;
    },
    within: (run) => run(),
    dispose() {},
  };
}

/** The same with the kernels that serve where there is no native library; if there is one here. */
export function portableKernels(): Kernels {
  return { ...fusedKernels(), name: PORTABLE, within: withoutNative };
}
