// SPDX-License-Identifier: Apache-2.0
/** A checkpoint for the examples that load one: a tiny model with a vocabulary that has the ids of real ones. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cases, filesOf, tensorsOf } from '../examples/tiny_checkpoint.js';

const VOCABULARY = 10_000;
const { qwen3 } = cases;
const EMBEDDINGS = 'model.embed_tokens.weight';

/** The shapes of its weights. */
export const SHAPES: Record<string, number[]> = {
  ...qwen3.shapes,
  [EMBEDDINGS]: [VOCABULARY, qwen3.shapes[EMBEDDINGS]![1]!],
};

/** A byte-pair tokenizer as Qwen3 has it, for the letters of "Hello, my name". */
function tokenizer(): object {
  const tokens = [...new Set('Helo,Ġmynae'), 'He', 'Ġm'];
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: ['H e', 'Ġ m'],
    },
  };
}

/** Makes the folder, with config.json, model.safetensors and the tokenizer's files. */
export async function writeCheckpoint(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = { ...qwen3.config, vocab_size: VOCABULARY };
  for (const [name, blob] of filesOf(config, tensorsOf({ ...qwen3, shapes: SHAPES }, ['BF16']))) {
    await writeFile(path.join(folder, name), Buffer.from(await blob.arrayBuffer()));
  }
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer()));
  await writeFile(path.join(folder, 'tokenizer_config.json'), '{}');
}
