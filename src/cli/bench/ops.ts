// SPDX-License-Identifier: Apache-2.0
/** The ops that are measured. Sizes stay below those whose scores plain tfjs could not hold. */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { LowerTriangularMask } from '../../attn_bias/index.js';
import { fusedLayerNorm, fusedRMSNorm } from '../../ops/fused_norm.js';
import { memoryEfficientAttention } from '../../ops/memory_efficient_attention.js';
import { draw } from './draw.js';
import { exactAttention, exactNorm } from './exact.js';
import type { BenchOp, PreparedOp } from './op.js';
import { causalMask, plainAttention, plainLayerNorm, plainRMSNorm } from './plain.js';
import { qkNormOp } from './qk_norm_op.js';
import { HEADS, HEAD_DIM, LENGTHS, headsFirst, tokensOf } from './shapes.js';

const CHANNELS = 1024;
const ROWS = [64, 256, 1024, 4096, 16384];
const FLOAT32_TOLERANCE = 1e-3;

/** This package against plain tfjs, both float32. */
const OURS = { name: 'tfjs-xformers', tolerance: FLOAT32_TOLERANCE };
const PLAIN = { name: 'plain tfjs', tolerance: FLOAT32_TOLERANCE };

function prepareAttention(tokens: number, causal: boolean): PreparedOp {
  const shape = tokensOf(tokens);
  const [q, k, v] = [1, 2, 3].map((seed) => draw(seed, tf.util.sizeFromShape(shape)));
  const inputs = [q!, k!, v!].map((values) => tf.tensor4d(values, shape));
  const [query, key, value] = inputs as [Tensor, Tensor, Tensor];
  const plain = inputs.map(headsFirst) as [Tensor, Tensor, Tensor];
  const mask = causal ? causalMask(tokens) : null;
  const bias = causal ? new LowerTriangularMask() : null;
  return {
    shape: `[${shape.join(', ')}]`,
    candidates: [
      {
        ...OURS,
        leaves: inputs,
        run: () => memoryEfficientAttention(query, key, value, bias) as Tensor,
      },
      {
        ...PLAIN,
        leaves: plain,
        run: () => plainAttention(...plain, mask),
        toFirst: headsFirst,
      },
    ],
    exact: () =>
      exactAttention({ q: q!, k: k!, v: v!, tokens, heads: HEADS, headDim: HEAD_DIM, causal }),
  };
}

function prepareNorm(rows: number, rms: boolean): PreparedOp {
  const [x, gamma, beta] = [
    draw(1, rows * CHANNELS, 2, 0.5),
    draw(2, CHANNELS, 0.2, 1),
    draw(3, CHANNELS, 0.2),
  ];
  const input = tf.tensor2d(x, [rows, CHANNELS]);
  const weights = (rms ? [gamma] : [gamma, beta]).map((values) => tf.tensor1d(values));
  const leaves: Tensor[] = [input, ...weights];
  const [g, b] = weights as [Tensor, Tensor];
  const epsilon = rms ? 1e-6 : 1e-5;
  return {
    shape: `[${rows}, ${CHANNELS}]`,
    candidates: [
      { ...OURS, leaves, run: () => (rms ? fusedRMSNorm(input, g) : fusedLayerNorm(input, g, b)) },
      {
        ...PLAIN,
        leaves,
        run: () => (rms ? plainRMSNorm(input, g, epsilon) : plainLayerNorm(input, g, b, epsilon)),
      },
    ],
    exact: () => exactNorm({ x, gamma, beta: rms ? null : beta, epsilon }),
  };
}

export const BENCH_OPS: readonly BenchOp[] = [
  {
    name: 'attention',
    title: 'attention',
    sizes: LENGTHS,
    prepare: (size) => prepareAttention(size, false),
  },
  {
    name: 'causal',
    title: 'causal attention',
    sizes: LENGTHS,
    prepare: (size) => prepareAttention(size, true),
  },
  {
    name: 'layer-norm',
    title: 'layer norm',
    sizes: ROWS,
    prepare: (size) => prepareNorm(size, false),
  },
  { name: 'rms-norm', title: 'RMS norm', sizes: ROWS, prepare: (size) => prepareNorm(size, true) },
  qkNormOp,
];
