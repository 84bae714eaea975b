// SPDX-License-Identifier: Apache-2.0
/** config.json of Qwen3ForCausalLM and Gemma3ForCausalLM as a DecoderConfig. Defaults are those of transformers. */
import { ConfigReader } from '../checkpoint/config_reader.js';
import type { DecoderBlock, DecoderConfig } from './config.js';
import { ropeOf } from './rope_config.js';

type Json = Readonly<Record<string, unknown>>;

const GATES = { silu: 'silu', gelu_pytorch_tanh: 'geluTanh' } as const;

function sizesOf(reader: ConfigReader, headDim: number) {
  const heads = reader.count('num_attention_heads');
  const sizes = {
    vocabulary: reader.count('vocab_size'),
    width: reader.count('hidden_size'),
    mlpWidth: reader.count('intermediate_size'),
    heads,
    kvHeads: reader.count('num_key_value_heads', heads),
    headDim: reader.count('head_dim', headDim),
    epsilon: reader.number('rms_norm_eps', 1e-6),
    attentionBiases: reader.boolean('attention_bias', false),
  };
  if (heads % sizes.kvHeads !== 0) {
    throw reader.refuse('num_key_value_heads', `a divisor of num_attention_heads, ${heads}`);
  }
  return sizes;
}

/** Which layers attend a window only: a list in newer files, else by a rule. */
function localLayers(reader: ConfigReader, rule: (index: number) => boolean): boolean[] {
  const count = reader.count('num_hidden_layers');
  const kinds = reader.strings('layer_types');
  if (kinds === null) return Array.from({ length: count }, (_, index) => rule(index));
  const known = ['full_attention', 'sliding_attention'];
  if (kinds.length !== count || !kinds.every((kind) => known.includes(kind))) {
    throw reader.refuse('layer_types', `a list of ${count}, each ${known.join(' or ')}`);
  }
  return kinds.map((kind) => kind === 'sliding_attention');
}

const cap = (reader: ConfigReader, key: string) => (reader.has(key) ? reader.number(key) : null);

/** Qwen3ForCausalLM. @throws CheckpointError for a value that the model here cannot take */
export function qwen3Config(json: Json): DecoderConfig {
  const reader = new ConfigReader(json);
  const sizes = sizesOf(reader, 128);
  const slides = reader.boolean('use_sliding_window', false);
  const firstLocal = slides ? reader.count('max_window_layers', 28) : Infinity;
  const local = localLayers(reader, (index) => index >= firstLocal);
  const base = { key: 'rope_theta', otherwise: 1e4, isScaled: true };
  return {
    ...sizes,
    gate: reader.choice('hidden_act', GATES, 'silu'),
    weightOffset: 0,
    sandwichNorms: false,
    embeddingFactor: 1,
    scale: 1 / Math.sqrt(sizes.headDim),
    attentionSoftcap: null,
    logitSoftcap: null,
    tiedEmbeddings: reader.boolean('tie_word_embeddings', false),
    blocks: local.map((isLocal): DecoderBlock => {
      const windowSize = isLocal ? reader.count('sliding_window') : null;
      return { windowSize, rope: ropeOf(reader, 'full_attention', base) };
    }),
  };
}

/** Gemma3ForCausalLM. @throws CheckpointError for a value that the model here cannot take */
export function gemma3Config(json: Json): DecoderConfig {
  const reader = new ConfigReader(json);
  if (reader.boolean('use_bidirectional_attention', false)) {
    throw reader.refuse('use_bidirectional_attention', 'false, as of a decoder');
  }
  const sizes = sizesOf(reader, 256);
  const every = reader.count('sliding_window_pattern', 6);
  const local = localLayers(reader, (index) => (index + 1) % every !== 0);
  const ofGlobal = { key: 'rope_theta', otherwise: 1e6, isScaled: true };
  const ofLocal = { key: 'rope_local_base_freq', otherwise: 1e4, isScaled: false };
  return {
    ...sizes,
    gate: reader.choice('hidden_activation', GATES, 'gelu_pytorch_tanh'),
    weightOffset: 1,
    sandwichNorms: true,
    embeddingFactor: Math.sqrt(sizes.width),
    scale: 1 / Math.sqrt(reader.number('query_pre_attn_scalar', 256)),
    attentionSoftcap: cap(reader, 'attn_logit_softcapping'),
    logitSoftcap: cap(reader, 'final_logit_softcapping'),
    tiedEmbeddings: reader.boolean('tie_word_embeddings', true),
    blocks: local.map((isLocal): DecoderBlock =>
      isLocal
        ? {
            windowSize: reader.count('sliding_window', 4096),
            rope: ropeOf(reader, 'sliding_attention', ofLocal),
          }
        : { windowSize: null, rope: ropeOf(reader, 'full_attention', ofGlobal) },
    ),
  };
}
