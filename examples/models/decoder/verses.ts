// SPDX-License-Identifier: Apache-2.0
/**
 * A text to learn, written by a rule: verses of "The House That Jack Built", which each repeat all lines before them.
 * To go on with one a model has to look far back, which is what attention is for.
 */
const LINES = [
  'the house that Jack built',
  'the malt that lay in',
  'the rat that ate',
  'the cat that killed',
  'the dog that worried',
  'the cow that tossed',
  'the maiden that milked',
];

const verses = LINES.map((_, last) => {
  const lines = LINES.slice(0, last + 1).reverse();
  return `This is ${lines.join(' ')}.\n`;
});

export const text = verses.join('');

/** Every character that occurs; a token is a place in this list. */
export const characters = [...new Set(text)].sort();

export function encode(some: string): number[] {
  return Array.from(some, (character) => characters.indexOf(character));
}

export function decode(tokens: readonly number[]): string {
  return tokens.map((token) => characters[token]).join('');
}

/** Batches of `rows` pieces of the text with `length` characters, from anywhere in it. */
export function batchesOf(rows: number, length: number, random: () => number): () => number[][] {
  const tokens = encode(text);
  const starts = tokens.length - length + 1;
  return () =>
    Array.from({ length: rows }, () => {
      const start = Math.floor(random() * starts);
      return tokens.slice(start, start + length);
    });
}
