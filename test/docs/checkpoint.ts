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

/** Makes the folder, with config.json and model.safetensors. */
export async function writeCheckpoint(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = { ...qwen3.config, vocab_size: VOCABULARY };
  for (const [name, blob] of filesOf(config, tensorsOf({ ...qwen3, shapes: SHAPES }, ['BF16']))) {
    await writeFile(path.join(folder, name), Buffer.from(await blob.arrayBuffer()));
  }
}
