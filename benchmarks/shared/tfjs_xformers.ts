// SPDX-License-Identifier: Apache-2.0
/** This package's ops, as users call them. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Tensor } from '../../src/bf16/bfloat16_tensor.js';
import {
  attnBias,
  fusedAddLayerNorm,
  fusedLayerNorm,
  fusedRMSNorm,
  memoryEfficientAttention,
  toBFloat16,
  toFloat32,
} from '../../src/index.js';
import type { FloatTensor } from '../../src/index.js';
import type { AttentionCase, Case } from './case.js';
import type { Formula, Operands } from './tfjs_formulas.js';

const EPSILON = 1e-5;
const UPSTREAM = new Set(['doutput', 'dy']);
const WEIGHTS = new Set(['gamma', 'beta']);

/**
 * In bfloat16 a gradient is taken of the tensor's handle (tf.grads takes tfjs' own tensors only), and
 * the output of a training step is float32, as tfjs wants the gradients that arrive.
 */
function dtypes(c: Case) {
  const stores = c.dtype === 'bfloat16';
  const trains = c.mode !== 'forward';
  return {
    convert: (x: Tensor, name: string): FloatTensor => {
      if (!stores || UPSTREAM.has(name) || WEIGHTS.has(name)) return x;
      return trains ? toBFloat16(x).handle : toBFloat16(x);
    },
    typed: (x: FloatTensor): FloatTensor =>
      stores && trains ? new BFloat16Tensor(x as Tensor) : x,
    options: stores && trains ? ({ outputDtype: 'float32' } as const) : {},
    toLayout: (x: Tensor) => toFloat32(x),
  };
}

function maskOf({ causal, window }: AttentionCase) {
  if (!causal) return null;
  const mask = new attnBias.LowerTriangularFromBottomRightMask();
  return window === undefined ? mask : mask.makeLocalAttention(window);
}

function attention(c: AttentionCase): Formula {
  const mask = maskOf(c);
  const { convert, typed, options, toLayout } = dtypes(c);
  return {
    leaves: ['query', 'key', 'value'],
    convert,
    toLayout,
    forward: ({ query, key, value }: Operands) =>
      memoryEfficientAttention(typed(query!), typed(key!), typed(value!), mask, options),
  };
}

function norm(c: Case, rms: boolean): Formula {
  const { convert, typed, options, toLayout } = dtypes(c);
  const settings = { epsilon: EPSILON, ...options };
  return {
    leaves: rms ? ['x', 'gamma'] : ['x', 'gamma', 'beta'],
    convert,
    toLayout,
    forward: ({ x, gamma, beta }: Operands) =>
      rms
        ? fusedRMSNorm(typed(x!), gamma, settings)
        : fusedLayerNorm(typed(x!), gamma, beta, settings),
  };
}

function addNorm(c: Case): Formula {
  const { convert, typed, options, toLayout } = dtypes(c);
  return {
    leaves: ['x', 'residual', 'gamma', 'beta'],
    convert,
    toLayout,
    forward: ({ x, residual, gamma, beta }: Operands) =>
      fusedAddLayerNorm(typed(x!), typed(residual!), gamma, beta, { epsilon: EPSILON, ...options })
        .output,
  };
}

export function formulas(c: Case): Formula | string {
  switch (c.op) {
    case 'attention':
    case 'decoding':
      return attention(c);
    case 'layer norm':
      return norm(c, false);
    case 'rms norm':
      return norm(c, true);
    case 'add layer norm':
      return addNorm(c);
    case 'bf16 pack':
      return { forward: ({ x }) => toBFloat16(x!), toLayout: (x) => toFloat32(x) };
    default:
      return `no ${c.op}`;
  }
}
