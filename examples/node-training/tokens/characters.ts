// SPDX-License-Identifier: Apache-2.0
/** A token for each character of the text, and one for all others. */
import type { Decoder, Tokenizer } from './tokenizer.js';

export interface CharacterData {
  kind: 'characters';
  /** The character of each token. */
  characters: string[];
}

/** Stands for every character that is not in the vocabulary. */
const OTHER = '\ufffd';

/** Scripts with more characters than this are better off with byte pairs. */
const MOST_CHARACTERS = 4096;

export class Characters implements Tokenizer {
  readonly size: number;
  private readonly tokenOf: Map<string, number>;

  constructor(readonly data: CharacterData) {
    this.size = data.characters.length;
    this.tokenOf = new Map(data.characters.map((character, token) => [character, token]));
  }

  encode(text: string): Int32Array {
    return Int32Array.from(Array.from(text), (character) => this.tokenOf.get(character) ?? 0);
  }

  decoder(): Decoder {
    return { next: (token) => this.data.characters[token] ?? OTHER, end: () => '' };
  }
}

/** The characters of a text, the most frequent ones first. */
export function learnCharacters(text: string): Characters {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  counts.delete(OTHER);
  const known = [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, MOST_CHARACTERS)
    .map(([character]) => character);
  return new Characters({ kind: 'characters', characters: [OTHER, ...known] });
}
