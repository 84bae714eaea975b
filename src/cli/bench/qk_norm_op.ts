// SPDX-License-Identifier: Apache-2.0
/**
 * The dtype strategies: queries and keys are normed, cast and attended, causally, with everything
 * float32, with the normed values cast, and with the norm's weights cast (see docs/qk_norm.md). The
 * norm has no beta: that of the keys has no gradient, as it moves all scores of a query alike.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { qkNormAttention } from '../../layers/index.js';
import type { QKNormAttentionArgs } from '../../layers/index.js';
import { toFloat32 } from '../../ops/bfloat16.js';
import { draw } from './draw.js';
import { exactAttention, exactNorm, normedValues } from './exact.js';
import type { NormFacts } from './exact.js';
import type { BenchOp, Candidate, PreparedOp } from './op.js';
import { causalMask, plainAttention, plainRMSNorm } from './plain.js';
import { HEADS, HEAD_DIM, LENGTHS, headsFirst, tokensOf } from './shapes.js';

const EPSILON = 1e-6;

interface Strategy extends Pick<QKNormAttentionArgs, 'castTo' | 'castStrategy'> {
  name: string;
  tolerance: number;
}

const STRATEGIES: readonly Strategy[] = [
  { name: 'float32', castTo: 'float32', tolerance: 1e-3 },
  { name: 'cast output', castTo: 'bfloat16', castStrategy: 'output', tolerance: 0.05 },
  { name: 'cast weights', castTo: 'bfloat16', castStrategy: 'weights', tolerance: 0.05 },
];

/** The layer, with gamma of the queries and of the keys. */
function layerOf({ castTo, castStrategy }: Strategy, inputs: Tensor[], weights: Tensor[]) {
  const args = { norm: 'rms', causal: true, epsilon: EPSILON } as const;
  const layer = qkNormAttention({ ...args, castTo, castStrategy });
  layer.build(inputs.map(({ shape }) => shape));
  layer.setWeights(weights);
  return layer;
}

function prepare(tokens: number): PreparedOp {
  const shape = tokensOf(tokens);
  const [q, k, v] = [1, 2, 3].map((seed) => draw(seed, tf.util.sizeFromShape(shape)));
  const gammas = [4, 5].map((seed) => draw(seed, HEAD_DIM, 0.2, 1));
  const inputs: Tensor[] = [q!, k!, v!].map((values) => tf.tensor4d(values, shape));
  const weights: Tensor[] = gammas.map((values) => tf.tensor1d(values));
  const plain = inputs.map(headsFirst) as [Tensor, Tensor, Tensor];
  const mask = causalMask(tokens);
  const [queryNorm, keyNorm] = [q!, k!].map((x, index) => {
    return { x, gamma: gammas[index]!, beta: null, epsilon: EPSILON };
  }) as [NormFacts, NormFacts];
  const layers = STRATEGIES.map((strategy) => layerOf(strategy, inputs, weights));
  return {
    shape: `[${shape.join(', ')}]`,
    candidates: [
      ...STRATEGIES.map(({ name, tolerance }, index): Candidate => {
        const layer = layers[index]!;
        return {
          name,
          tolerance,
          leaves: [...inputs, ...layer.weights.map((weight) => weight.read())],
          run: () => layer.call(inputs, {}),
          runPart: () => tf.tidy(() => toFloat32(layer.normQuery(inputs[0]!))),
        };
      }),
      {
        name: 'plain tfjs, float32',
        tolerance: 1e-3,
        leaves: [...plain, ...weights],
        run: () =>
          plainAttention(
            plainRMSNorm(plain[0], weights[0]!, EPSILON),
            plainRMSNorm(plain[1], weights[1]!, EPSILON),
            plain[2],
            mask,
          ),
        toFirst: headsFirst,
      },
    ],
    exact: () => {
      const [query, key] = [normedValues(queryNorm), normedValues(keyNorm)];
      const sizes = { tokens, heads: HEADS, headDim: HEAD_DIM, causal: true };
      return exactAttention({ q: query, k: key, v: v!, ...sizes });
    },
    part: { title: 'normed queries', exact: () => exactNorm(queryNorm) },
    dispose: () => layers.forEach((layer) => layer.weights.forEach((weight) => weight.dispose())),
  };
}

export const qkNormOp: BenchOp = {
  name: 'qk-norm',
  title: 'QK-norm attention, by dtype strategy',
  sizes: LENGTHS,
  prepare,
};
