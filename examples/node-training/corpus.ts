// SPDX-License-Identifier: Apache-2.0
/** The text: read, split into a part to train on and a part that is held out, and made tokens. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { UsageError } from '../shared/usage.js';
import type { Settings } from './settings.js';
import { learnTokenizer, loadTokenizer } from './tokens/tokenizer.js';
import type { Tokenizer, TokenizerData } from './tokens/tokenizer.js';

export interface TextFile {
  path: string;
  sha256: string;
  text: string;
}

export interface Corpus {
  tokenizer: Tokenizer;
  characters: number;
  training: Int32Array;
  /** The end of the text, never trained on; its tokens are those of the other part. */
  heldOut: Int32Array;
}

/** @throws UsageError if the file cannot be read, or is not text */
export async function readTextFile(file: string): Promise<TextFile> {
  const bytes = await readFile(file).catch((error: Error) => {
    throw new UsageError(`cannot read the text: ${error.message}`);
  });
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { path: path.resolve(file), sha256, text };
  } catch {
    throw new UsageError(`${file} is no UTF-8 text`);
  }
}

/** Where the held-out part begins; never between the two halves of a character. */
function cutOf(text: string, heldOut: number): number {
  const cut = Math.floor(text.length * (1 - heldOut));
  const isLowHalf = (text.charCodeAt(cut) & 0xfc00) === 0xdc00;
  return isLowHalf ? cut - 1 : cut;
}

/**
 * @param data the tokens of a checkpoint; without it they are learned from the training part.
 * @throws UsageError if the text is too short
 */
export function makeCorpus(text: string, settings: Settings, data?: TokenizerData): Corpus {
  const { context, tokens, vocabulary, heldOut } = settings;
  const cut = cutOf(text, heldOut);
  const [first, last] = [text.slice(0, cut), text.slice(cut)];
  const tokenizer = data ? loadTokenizer(data) : learnTokenizer(tokens, first, vocabulary);
  const corpus = {
    ...{ tokenizer, characters: text.length },
    training: tokenizer.encode(first),
    heldOut: tokenizer.encode(last),
  };
  for (const part of ['training', 'heldOut'] as const) {
    const { length } = corpus[part];
    if (length > context) continue;
    const which = part === 'training' ? 'training' : 'held-out';
    throw new UsageError(
      `the ${which} part of the text has ${length} tokens, and a sequence takes ${context + 1}: ` +
        'take a longer text, a smaller --context or another --held-out',
    );
  }
  return corpus;
}
