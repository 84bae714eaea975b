// SPDX-License-Identifier: Apache-2.0
/** Text to tokens and back. What a checkpoint saves of it is `data`, plain JSON. */
import { BytePairs, learnBytePairs } from './byte_pairs.js';
import type { BytePairData } from './byte_pairs.js';
import { Characters, learnCharacters } from './characters.js';
import type { CharacterData } from './characters.js';

export const TOKENS = ['characters', 'byte-pairs'] as const;
export type TokenKind = (typeof TOKENS)[number];

export type TokenizerData = CharacterData | BytePairData;

/** Turns tokens into text one by one: a token may end in the middle of a character. */
export interface Decoder {
  /** The text that `token` completes. */
  next(token: number): string;
  /** What is left at the end. */
  end(): string;
}

export interface Tokenizer {
  readonly data: TokenizerData;
  /** How many tokens there are. */
  readonly size: number;
  encode(text: string): Int32Array;
  decoder(): Decoder;
}

/** Makes the tokens for a text; `vocabulary` is how many byte pairs may become, all single bytes included. */
export function learnTokenizer(kind: TokenKind, text: string, vocabulary: number): Tokenizer {
  return kind === 'characters' ? learnCharacters(text) : learnBytePairs(text, vocabulary);
}

export function loadTokenizer(data: TokenizerData): Tokenizer {
  return data.kind === 'characters' ? new Characters(data) : new BytePairs(data);
}

export function decode(tokenizer: Tokenizer, tokens: Iterable<number>): string {
  const decoder = tokenizer.decoder();
  return Array.from(tokens, (token) => decoder.next(token)).join('') + decoder.end();
}
