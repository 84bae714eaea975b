// SPDX-License-Identifier: Apache-2.0
/** Where the weights of a decoder stand in checkpoints of Qwen3ForCausalLM and Gemma3ForCausalLM. */
import { kernel, plain } from '../checkpoint/load_weights.js';
import type { LayerWeights, WeightSource } from '../checkpoint/load_weights.js';
import type { DecoderConfig } from './config.js';

function attentionWeights(prefix: string, config: DecoderConfig): WeightSource[] {
  const { width: C, heads: H, kvHeads: G, headDim: K, attentionBiases } = config;
  const projection = (name: string, heads: number) => [
    kernel(`${prefix}.${name}.weight`, heads * K, C, [C, heads, K]),
    ...(attentionBiases ? [plain(`${prefix}.${name}.bias`, [heads * K], [heads, K])] : []),
  ];
  return [
    ...projection('q_proj', H),
    ...projection('k_proj', G),
    ...projection('v_proj', G),
    kernel(`${prefix}.o_proj.weight`, C, H * K, [H, K, C]),
    ...(attentionBiases ? [plain(`${prefix}.o_proj.bias`, [C])] : []),
    plain(`${prefix}.q_norm.weight`, [K]),
    plain(`${prefix}.k_norm.weight`, [K]),
  ];
}

function blockWeights(index: number, config: DecoderConfig): LayerWeights[] {
  const { width: C, mlpWidth: F, sandwichNorms } = config;
  const prefix = `model.layers.${index}`;
  const layer = (part: string, ...weights: WeightSource[]) => ({
    layer: `block_${index}_${part}`,
    weights,
  });
  const norm = (part: string, name: string) => layer(part, plain(`${prefix}.${name}.weight`, [C]));
  // What Qwen3 calls post-attention norm stands before the MLP.
  const norms = sandwichNorms
    ? [
        norm('attention_post_norm', 'post_attention_layernorm'),
        norm('mlp_norm', 'pre_feedforward_layernorm'),
        norm('mlp_post_norm', 'post_feedforward_layernorm'),
      ]
    : [norm('mlp_norm', 'post_attention_layernorm')];
  return [
    norm('attention_norm', 'input_layernorm'),
    layer('attention', ...attentionWeights(`${prefix}.self_attn`, config)),
    ...norms,
    layer('gate', kernel(`${prefix}.mlp.gate_proj.weight`, F, C)),
    layer('up', kernel(`${prefix}.mlp.up_proj.weight`, F, C)),
    layer('down', kernel(`${prefix}.mlp.down_proj.weight`, C, F)),
  ];
}

/** The weights of all layers of `buildDecoder(config)`. */
export function decoderWeights(config: DecoderConfig): LayerWeights[] {
  const { vocabulary: V, width: C, tiedEmbeddings } = config;
  return [
    { layer: 'embedding', weights: [plain('model.embed_tokens.weight', [V, C])] },
    ...config.blocks.flatMap((_, index) => blockWeights(index, config)),
    { layer: 'final_norm', weights: [plain('model.norm.weight', [C])] },
    ...(tiedEmbeddings ? [] : [{ layer: 'logits', weights: [kernel('lm_head.weight', V, C)] }]),
  ];
}
