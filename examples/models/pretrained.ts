// SPDX-License-Identifier: Apache-2.0
/** Models with the weights of a checkpoint: config.json says which one it is, safetensors files have the weights. */
import type * as tfl from '@tensorflow/tfjs-layers';

import { Checkpoint } from './checkpoint/checkpoint.js';
import { CheckpointError } from './checkpoint/error.js';
import type { Files } from './checkpoint/files.js';
import { checkWeights, loadWeights } from './checkpoint/load_weights.js';
import type { LayerWeights } from './checkpoint/load_weights.js';
import type { DecoderConfig } from './decoder/config.js';
import { gemma3Config, qwen3Config } from './decoder/families.js';
import { buildDecoder } from './decoder/model.js';
import type { DecoderOptions } from './decoder/model.js';
import { decoderWeights } from './decoder/weights.js';
import { bertConfig, bertWeights } from './encoder/bert.js';
import { buildEncoder } from './encoder/model.js';
import { disposeModel } from './layers/apply.js';

export interface PretrainedOptions extends DecoderOptions {
  /** Is told how many layers have their weights, and of how many. */
  onLayer?: (done: number, total: number) => void;
}

export interface Pretrained {
  /** A decoder: token ids -> logits. An encoder: [token ids, token types] -> hidden states, and the pooler's output. */
  kind: 'decoder' | 'encoder';
  model: tfl.LayersModel;
  /** Tensors of the checkpoint that the model has no use for, such as a head for another task. */
  unused: string[];
}

interface Recipe {
  kind: Pretrained['kind'];
  build: () => tfl.LayersModel;
  weights: LayerWeights[];
}

type RecipeOf = (checkpoint: Checkpoint, options: PretrainedOptions) => Recipe;

const decoder =
  (configOf: (json: Checkpoint['config']) => DecoderConfig): RecipeOf =>
  (checkpoint, options) => {
    const config = configOf(checkpoint.config);
    const build = () => buildDecoder(config, options);
    return { kind: 'decoder', build, weights: decoderWeights(config) };
  };

const bert: RecipeOf = (checkpoint) => {
  const prefix = checkpoint.names().some((name) => name.startsWith('bert.')) ? 'bert.' : '';
  const config = bertConfig(checkpoint.config, checkpoint.has(`${prefix}pooler.dense.weight`));
  const build = () => buildEncoder(config);
  return { kind: 'encoder', build, weights: bertWeights(config, prefix) };
};

/** By the name in config.json's `architectures`. */
const RECIPES: Readonly<Record<string, RecipeOf>> = {
  Qwen3ForCausalLM: decoder(qwen3Config),
  Gemma3ForCausalLM: decoder(gemma3Config),
  BertModel: bert,
  BertForMaskedLM: bert,
  BertForPreTraining: bert,
  BertForSequenceClassification: bert,
};

function recipeOf({ config }: Checkpoint): RecipeOf {
  const given = config['architectures'];
  const names = Array.isArray(given) ? given.filter((name) => typeof name === 'string') : [];
  const known = names.find((name) => Object.hasOwn(RECIPES, name));
  if (known !== undefined) return RECIPES[known]!;
  throw new CheckpointError(
    `config.json: architectures has ${names.join(', ') || 'no name'}, and known are ` +
      `${Object.keys(RECIPES).join(', ')}.`,
  );
}

/**
 * The model of a checkpoint. The caller disposes of it, with `disposeModel`.
 *
 * @param files of a folder (`folderFiles`), or of a browser (`blobFiles`).
 * @throws CheckpointError if files or weights are missing, damaged, or not those of a model that is known here
 * @example
 * const { model } = await loadPretrained(folderFiles('/models/Qwen3-0.6B'));
 */
export async function loadPretrained(
  files: Files,
  options: PretrainedOptions = {},
): Promise<Pretrained> {
  const checkpoint = await Checkpoint.open(files);
  try {
    const { kind, build, weights } = recipeOf(checkpoint)(checkpoint, options);
    checkWeights(checkpoint, weights);
    const model = build();
    try {
      const unused = await loadWeights(model, checkpoint, weights, options.onLayer);
      return { kind, model, unused };
    } catch (error) {
      disposeModel(model);
      throw error;
    }
  } finally {
    await checkpoint.close();
  }
}
