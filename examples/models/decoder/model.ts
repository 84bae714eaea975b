// SPDX-License-Identifier: Apache-2.0
/**
 * A decoder with rotary positions, RMS norms, grouped queries, QK-norm and a gated MLP, out of this package's layers.
 * Qwen3 and Gemma 3 are two settings of it (config.ts).
 *
 *     x = embed(tokens)
 *     x = x + norm'(attention(norm(x)))        norm' in Gemma only
 *     x = x + norm'(down(act(gate(norm(x))) * up(norm(x))))
 *     logits = head(norm(x))
 */
import * as tfl from '@tensorflow/tfjs-layers';

import { layers } from '../../../src/index.js';
import type { FloatDType } from '../../../src/index.js';
import { apply } from '../layers/apply.js';
import { GatedProduct } from '../layers/gated_product.js';
import { Residual } from '../layers/residual.js';
import { Softcap } from '../layers/softcap.js';
import { LastStep } from '../layers/steps.js';
import { TokenEmbedding } from '../layers/token_embedding.js';
import type { DecoderBlock, DecoderConfig } from './config.js';

type Symbol = tfl.SymbolicTensor;

export interface DecoderOptions {
  /** 'bfloat16': attention and its cache read half the bytes. 'float32'. */
  castTo?: FloatDType;
}

/** tf.layers.dense without bias. */
function linear(name: string, units: number) {
  return tfl.layers.dense({ name, units, useBias: false, kernelInitializer: 'zeros' });
}

function norm(name: string, { epsilon, weightOffset }: DecoderConfig) {
  return layers.fusedRMSNormalization({ name, epsilon, weightOffset });
}

function attention(
  name: string,
  config: DecoderConfig,
  { windowSize, rope }: DecoderBlock,
  castTo: FloatDType,
) {
  const { heads, kvHeads, headDim, epsilon, weightOffset } = config;
  return layers.multiHeadAttention({
    name,
    ...{ numHeads: heads, numKvHeads: kvHeads, keyDim: headDim },
    ...{ causal: true, windowSize, rope, castTo },
    scale: config.scale,
    softcap: config.attentionSoftcap,
    useBias: config.attentionBiases,
    qkNorm: { norm: 'rms', epsilon, weightOffset },
    kernelInitializer: 'zeros',
  });
}

function block(x: Symbol, index: number, config: DecoderConfig, castTo: FloatDType): Symbol {
  const name = (part: string) => `block_${index}_${part}`;
  const after = (branch: Symbol, part: string) =>
    config.sandwichNorms ? apply(norm(name(part), config), branch) : branch;

  const normed = apply(norm(name('attention_norm'), config), x);
  const layer = attention(name('attention'), config, config.blocks[index]!, castTo);
  const attended = after(apply(layer, normed), 'attention_post_norm');
  const middle = apply(new Residual({ name: name('attention_sum') }), [x, attended]);

  const rows = apply(norm(name('mlp_norm'), config), middle);
  const gate = apply(linear(name('gate'), config.mlpWidth), rows);
  const up = apply(linear(name('up'), config.mlpWidth), rows);
  const gated = apply(new GatedProduct({ name: name('gated'), gate: config.gate }), [gate, up]);
  const down = after(apply(linear(name('down'), config.width), gated), 'mlp_post_norm');
  return apply(new Residual({ name: name('mlp_sum') }), [middle, down]);
}

/**
 * Token ids [B, M] -> logits [B, M, vocabulary]. Kernels and tables are zeros: load a checkpoint, or call drawWeights().
 *
 * `model.apply(tokens, {cache})` goes on from a cache of `layers.makeCache(model, …)`, and `lastStepOnly: true` beside it
 * leaves out the logits of all steps but the last.
 */
export function buildDecoder(config: DecoderConfig, options: DecoderOptions = {}): tfl.LayersModel {
  const { vocabulary, width, embeddingFactor: factor } = config;
  const tokens = tfl.input({ shape: [null], dtype: 'int32', name: 'tokens' });
  const embedding = new TokenEmbedding({ name: 'embedding', vocabulary, width, factor });
  let x = apply(embedding, tokens);
  for (let index = 0; index < config.blocks.length; index++) {
    x = block(x, index, config, options.castTo ?? 'float32');
  }
  const last = apply(new LastStep({ name: 'last_step' }), apply(norm('final_norm', config), x));
  const logits = apply(config.tiedEmbeddings ? embedding : linear('logits', vocabulary), last);
  const { logitSoftcap: cap } = config;
  const outputs = cap === null ? logits : apply(new Softcap({ name: 'softcap', cap }), logits);
  return tfl.model({ inputs: tokens, outputs });
}
