// SPDX-License-Identifier: Apache-2.0
/**
 * An encoder in the BERT form out of this package's layers: learned positions, token types, norms after the sums, and a
 * pooler over the first token.
 *
 *     x = norm(words[token] + types[type] + positions[i])
 *     x = norm(x + attention(x))
 *     x = norm(x + contract(gelu(expand(x))))
 *     pooled = tanh(dense(x[0]))
 *
 * Token 0 is padding: its mask goes through all layers, and no token attends it.
 */
import * as tfl from '@tensorflow/tfjs-layers';

import { layers } from '../../../src/index.js';
import { apply } from '../layers/apply.js';
import { LearnedPositions } from '../layers/learned_positions.js';
import { Residual } from '../layers/residual.js';
import { FirstStep } from '../layers/steps.js';

type Symbol = tfl.SymbolicTensor;

export interface EncoderConfig {
  vocabulary: number;
  tokenTypes: number;
  /** The most tokens of a sequence. */
  positions: number;
  width: number;
  mlpWidth: number;
  heads: number;
  layers: number;
  /** 'gelu' is the exact one. */
  activation: 'gelu' | 'relu' | 'swish';
  epsilon: number;
  /** When training, after embeddings, attention and MLP. */
  dropout: number;
  /** Whether there is a second output, of the pooler. */
  pooler: boolean;
}

function norm(name: string, { epsilon }: EncoderConfig) {
  return layers.fusedLayerNormalization({ name, epsilon });
}

function dropped(x: Symbol, name: string, { dropout: rate }: EncoderConfig): Symbol {
  return rate === 0 ? x : apply(tfl.layers.dropout({ name: `${name}_dropout`, rate }), x);
}

function embeddings(tokens: Symbol, types: Symbol, config: EncoderConfig): Symbol {
  const { vocabulary, tokenTypes, positions, width: outputDim } = config;
  const embeddingsInitializer = 'zeros';
  const table = (name: string, inputDim: number, maskZero: boolean) =>
    tfl.layers.embedding({ name, inputDim, outputDim, maskZero, embeddingsInitializer });
  const words = apply(table('words', vocabulary, true), tokens);
  const placed = apply(new LearnedPositions({ name: 'positions', positions }), words);
  const typed = apply(table('types', tokenTypes, false), types);
  const sum = apply(new Residual({ name: 'embedding_sum' }), [placed, typed]);
  return dropped(apply(norm('embedding_norm', config), sum), 'embedding', config);
}

function block(x: Symbol, index: number, config: EncoderConfig): Symbol {
  const name = (part: string) => `block_${index}_${part}`;
  const { width, heads, mlpWidth, activation } = config;
  const kernelInitializer = 'zeros';
  const attention = layers.multiHeadAttention({
    ...{ name: name('attention'), numHeads: heads, keyDim: width / heads, kernelInitializer },
  });
  const expand = { name: name('expand'), units: mlpWidth, activation, kernelInitializer } as const;
  const contract = { name: name('contract'), units: width, kernelInitializer } as const;

  const attended = dropped(apply(attention, x), name('attention'), config);
  const sum = apply(new Residual({ name: name('attention_sum') }), [x, attended]);
  const middle = apply(norm(name('attention_norm'), config), sum);

  const hidden = apply(tfl.layers.dense(expand), middle);
  const branch = dropped(apply(tfl.layers.dense(contract), hidden), name('mlp'), config);
  const total = apply(new Residual({ name: name('mlp_sum') }), [middle, branch]);
  return apply(norm(name('mlp_norm'), config), total);
}

/**
 * [token ids [B, M], token types [B, M]] -> hidden states [B, M, width] and, with a pooler, [B, width]. Kernels and
 * tables are zeros: load a checkpoint, or call drawWeights().
 */
export function buildEncoder(config: EncoderConfig): tfl.LayersModel {
  const tokens = tfl.input({ shape: [null], dtype: 'int32', name: 'tokens' });
  const types = tfl.input({ shape: [null], dtype: 'int32', name: 'token_types' });
  let x = embeddings(tokens, types, config);
  for (let index = 0; index < config.layers; index++) x = block(x, index, config);
  if (!config.pooler) return tfl.model({ inputs: [tokens, types], outputs: x });
  const units = config.width;
  const pooler = tfl.layers.dense({
    ...{ name: 'pooler', units, activation: 'tanh', kernelInitializer: 'zeros' },
  });
  const pooled = apply(pooler, apply(new FirstStep({ name: 'first_step' }), x));
  return tfl.model({ inputs: [tokens, types], outputs: [x, pooled] });
}
