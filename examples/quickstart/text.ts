// SPDX-License-Identifier: Apache-2.0
/** Text as tokens: one for each frequent character, and one for all others. */
import { batchAt } from '../shared/batches.js';
import type { Batch } from '../shared/batches.js';
import { seededRandom } from '../shared/random.js';

/** Stands for every character outside the vocabulary. */
const OTHER = '\ufffd';

const MOST_CHARACTERS = 127;
/** A character that is one in fewer than so many teaches a small model nothing. */
const RAREST = 20_000;
const VALIDATION_SHARE = 0.1;

/** A text, ready to train on. */
export interface Corpus {
  /** The character of each token. */
  characters: string[];
  training: Int32Array;
  /** The end of the text, never trained on. */
  validation: Int32Array;
  /** Of single characters, in nats: the loss of a model that knows frequencies and nothing else. */
  unigramEntropy: number;
}

function countCharacters(characters: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const character of characters) counts.set(character, (counts.get(character) ?? 0) + 1);
  return counts;
}

function entropyOf(tokens: Int32Array, vocabulary: number): number {
  const counts = new Array<number>(vocabulary).fill(0);
  for (const token of tokens) counts[token]! += 1;
  return counts
    .filter((count) => count > 0)
    .map((count) => count / tokens.length)
    .reduce((entropy, p) => entropy - p * Math.log(p), 0);
}

/**
 * Makes tokens of a text and splits off its last tenth for validation.
 *
 * @param context the length of the sequences that will be cut from it.
 * @throws RangeError if the text is too short for that
 */
export function makeCorpus(text: string, context: number): Corpus {
  const all = Array.from(text);
  const frequent = [...countCharacters(all)].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const known = frequent
    .slice(0, MOST_CHARACTERS)
    .filter(([, count]) => count * RAREST >= all.length)
    .map(([character]) => character);
  const characters = [OTHER, ...known.filter((character) => character !== OTHER)];
  const tokenOf = new Map(characters.map((character, token) => [character, token]));
  const tokens = Int32Array.from(all, (character) => tokenOf.get(character) ?? 0);
  const cut = Math.floor(tokens.length * (1 - VALIDATION_SHARE));
  if (tokens.length - cut <= context) {
    const needed = Math.ceil((context + 1) / VALIDATION_SHARE);
    throw new RangeError(`the text has ${tokens.length} characters; at least ${needed} are needed`);
  }
  return {
    characters,
    training: tokens.subarray(0, cut),
    validation: tokens.subarray(cut),
    unigramEntropy: entropyOf(tokens, characters.length),
  };
}

/** Endless batches of `rows` sequences from random places; a seed gives the same ones again. */
export function* randomBatches(
  tokens: Int32Array,
  rows: number,
  context: number,
  seed: number,
): Generator<Batch, never> {
  const random = seededRandom(seed);
  const places = tokens.length - context;
  for (;;) {
    const starts = Array.from({ length: rows }, () => Math.floor(random() * places));
    yield batchAt(tokens, starts, context);
  }
}
