// SPDX-License-Identifier: Apache-2.0
/** config.json and the names of weights of BertModel and of models around one, for `buildEncoder`. */
import { ConfigReader } from '../checkpoint/config_reader.js';
import { kernel, plain } from '../checkpoint/load_weights.js';
import type { LayerWeights, WeightSource } from '../checkpoint/load_weights.js';
import type { EncoderConfig } from './model.js';

const ACTIVATIONS = {
  gelu: 'gelu',
  relu: 'relu',
  silu: 'swish',
} as const;

/** @throws CheckpointError for a value that the model here cannot take */
export function bertConfig(
  json: Readonly<Record<string, unknown>>,
  pooler: boolean,
): EncoderConfig {
  const reader = new ConfigReader(json);
  reader.choice('position_embedding_type', { absolute: true }, 'absolute');
  if (reader.has('pad_token_id') && reader.number('pad_token_id') !== 0) {
    throw reader.refuse('pad_token_id', '0, which the masks of tf.layers take for padding');
  }
  const config: EncoderConfig = {
    vocabulary: reader.count('vocab_size'),
    tokenTypes: reader.count('type_vocab_size', 2),
    positions: reader.count('max_position_embeddings', 512),
    width: reader.count('hidden_size'),
    mlpWidth: reader.count('intermediate_size'),
    heads: reader.count('num_attention_heads'),
    layers: reader.count('num_hidden_layers'),
    activation: reader.choice('hidden_act', ACTIVATIONS, 'gelu'),
    epsilon: reader.number('layer_norm_eps', 1e-12),
    dropout: reader.number('hidden_dropout_prob', 0.1),
    pooler,
  };
  if (config.width % config.heads !== 0) {
    throw reader.refuse('hidden_size', `a multiple of num_attention_heads, ${config.heads}`);
  }
  return config;
}

/** Checkpoints that were once converted from TensorFlow call the weights of norms gamma and beta. */
function norm(prefix: string, width: number): WeightSource[] {
  return [
    plain([`${prefix}.weight`, `${prefix}.gamma`], [width]),
    plain([`${prefix}.bias`, `${prefix}.beta`], [width]),
  ];
}

function dense(prefix: string, outputs: number, inputs: number): WeightSource[] {
  return [kernel(`${prefix}.weight`, outputs, inputs), plain(`${prefix}.bias`, [outputs])];
}

function attentionWeights(prefix: string, { width: C, heads: H }: EncoderConfig): WeightSource[] {
  const K = C / H;
  const projection = (name: string) => [
    kernel(`${prefix}.self.${name}.weight`, C, C, [C, H, K]),
    plain(`${prefix}.self.${name}.bias`, [C], [H, K]),
  ];
  return [
    ...['query', 'key', 'value'].flatMap(projection),
    kernel(`${prefix}.output.dense.weight`, C, C, [H, K, C]),
    plain(`${prefix}.output.dense.bias`, [C]),
  ];
}

function blockWeights(prefix: string, index: number, config: EncoderConfig): LayerWeights[] {
  const { width: C, mlpWidth: F } = config;
  const layer = (part: string, weights: WeightSource[]) => ({
    layer: `block_${index}_${part}`,
    weights,
  });
  const block = `${prefix}encoder.layer.${index}`;
  return [
    layer('attention', attentionWeights(`${block}.attention`, config)),
    layer('attention_norm', norm(`${block}.attention.output.LayerNorm`, C)),
    layer('expand', dense(`${block}.intermediate.dense`, F, C)),
    layer('contract', dense(`${block}.output.dense`, C, F)),
    layer('mlp_norm', norm(`${block}.output.LayerNorm`, C)),
  ];
}

/** The weights of all layers of `buildEncoder(config)`; `prefix` is 'bert.' in models around a BertModel, else ''. */
export function bertWeights(config: EncoderConfig, prefix: string): LayerWeights[] {
  const { vocabulary, tokenTypes, positions, width: C, layers } = config;
  const table = (layer: string, name: string, rows: number) => ({
    layer,
    weights: [plain(`${prefix}embeddings.${name}.weight`, [rows, C])],
  });
  return [
    table('words', 'word_embeddings', vocabulary),
    table('positions', 'position_embeddings', positions),
    table('types', 'token_type_embeddings', tokenTypes),
    { layer: 'embedding_norm', weights: norm(`${prefix}embeddings.LayerNorm`, C) },
    ...Array.from({ length: layers }, (_, index) => blockWeights(prefix, index, config)).flat(),
    ...(config.pooler ? [{ layer: 'pooler', weights: dense(`${prefix}pooler.dense`, C, C) }] : []),
  ];
}
