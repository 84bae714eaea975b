// SPDX-License-Identifier: Apache-2.0
/**
 * A vision transformer in the form of ViT-22B (Dehghani et al., "Scaling Vision Transformers to 22 Billion Parameters",
 * ICML 2023), small: each block runs attention and MLP side by side on one norm, and norms queries and keys.
 *
 *     x = patches(picture) + positions
 *     y = norm(x);   x = x + attention(y) + contract(gelu(expand(y)))
 *     classes = softmax(dense(mean(norm(x))))
 *
 * Norms have no beta, and projections of the attention no bias: the bias of its output would only add to that of
 * `contract`. ViT-22B pools by attention instead of the mean.
 */
import * as tfl from '@tensorflow/tfjs-layers';

import { layers } from '../../../src/index.js';
import type { FloatDType } from '../../../src/index.js';
import { apply } from '../layers/apply.js';
import { LearnedPositions } from '../layers/learned_positions.js';
import { Residual } from '../layers/residual.js';

type Symbol = tfl.SymbolicTensor;

export interface VisionConfig {
  /** Height and width of the pictures, in pixels; a multiple of `patch`. */
  size: number;
  channels: number;
  /** Height and width of what becomes one token. */
  patch: number;
  width: number;
  mlpWidth: number;
  heads: number;
  blocks: number;
  classes: number;
  /** 'bfloat16': queries, keys and values are rounded behind the norms, and read in half the bytes. */
  castTo: FloatDType;
}

const kernelInitializer = 'zeros';

function norm(name: string) {
  return layers.fusedLayerNormalization({ name, center: false, epsilon: 1e-6 });
}

function tokensOf(pictures: Symbol, { size, patch, width }: VisionConfig): Symbol {
  const convolution = tfl.layers.conv2d({
    ...{ name: 'patches', filters: width, kernelSize: patch, strides: patch, kernelInitializer },
  });
  const positions = (size / patch) ** 2;
  const rows = tfl.layers.reshape({ name: 'tokens', targetShape: [positions, width] });
  const tokens = apply(rows, apply(convolution, pictures));
  return apply(new LearnedPositions({ name: 'positions', positions }), tokens);
}

function block(x: Symbol, index: number, config: VisionConfig): Symbol {
  const name = (part: string) => `block_${index}_${part}`;
  const { heads, width, mlpWidth, castTo } = config;
  const normed = apply(norm(name('norm')), x);
  const attention = layers.multiHeadAttention({
    ...{ name: name('attention'), numHeads: heads, keyDim: width / heads, kernelInitializer },
    ...{ useBias: false, qkNorm: { norm: 'layer', useBeta: false }, castTo },
  });
  const expand = tfl.layers.dense({
    ...{ name: name('expand'), units: mlpWidth, activation: 'gelu', kernelInitializer },
  });
  const contract = tfl.layers.dense({ name: name('contract'), units: width, kernelInitializer });
  const branches = [apply(attention, normed), apply(contract, apply(expand, normed))];
  return apply(new Residual({ name: name('sum') }), [x, ...branches]);
}

/** Pictures [B, size, size, channels] -> probabilities [B, classes]. Kernels and tables are zeros: call drawWeights(). */
export function buildVisionTransformer(config: VisionConfig): tfl.LayersModel {
  const { size, channels, classes } = config;
  const pictures = tfl.input({ shape: [size, size, channels], name: 'pictures' });
  let x = tokensOf(pictures, config);
  for (let index = 0; index < config.blocks; index++) x = block(x, index, config);
  const mean = tfl.layers.globalAveragePooling1d({ name: 'mean' });
  const head = tfl.layers.dense({
    ...{ name: 'classes', units: classes, activation: 'softmax', kernelInitializer },
  });
  const outputs = apply(head, apply(mean, apply(norm('final_norm'), x)));
  return tfl.model({ inputs: pictures, outputs });
}
