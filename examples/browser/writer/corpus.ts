// SPDX-License-Identifier: Apache-2.0
/** The visitor's text: checked, cleaned, split, and made tokens. */
import type { Corpus } from '../../node-training/corpus.js';
import { learnCharacters } from '../../node-training/tokens/characters.js';
import { loadTokenizer } from '../../node-training/tokens/tokenizer.js';
import type { TokenizerData } from '../../node-training/tokens/tokenizer.js';
import type { Settings } from '../../node-training/settings.js';
import { countWords, grouped } from '../page/words.js';

const MOST_CHARACTERS = 2_000_000;

/** All but tab and line feed that no font shows; and halves of characters, which lone are none. */
const UNSHOWN = /(?![\t\n])\p{Cc}|\p{Cs}|\ufffd|\ufeff/gu;

/** With more different characters than this, the loss says more about their number than about the text. */
const MANY_DIFFERENT = 500;

export interface CleanText {
  text: string;
  /** Characters that were left out. */
  dropped: number;
}

/** Line ends become one kind; what cannot be shown is left out. */
export function cleanText(raw: string): CleanText {
  const unified = raw.replace(/\r\n?/g, '\n');
  const text = unified.replace(UNSHOWN, '');
  return { text, dropped: unified.length - text.length };
}

/** How many characters a model needs: each part has to hold a sequence and the character after it. */
export function leastCharacters({ context, heldOut }: Settings): number {
  return Math.ceil((context + 1) / heldOut);
}

/** What keeps a text from being learned; undefined if nothing does. */
export function problemOf({ text }: CleanText, settings: Settings): string | undefined {
  const length = Array.from(text).length;
  const least = leastCharacters(settings);
  if (text.trim() === '')
    return `Paste a text here first, of ${grouped(least)} characters or more.`;
  if (length < least) {
    return `This text has ${countWords(length, 'character')}; this model needs ${grouped(least)} at least. Paste a longer text or choose a smaller model.`;
  }
  if (length > MOST_CHARACTERS) {
    return `This text has ${grouped(length)} characters; this page takes ${grouped(MOST_CHARACTERS)} at most. Paste a part of it.`;
  }
  if (new Set(text).size < 2) {
    return 'This text is one character over and over, which leaves nothing to learn.';
  }
  return undefined;
}

/** What is worth knowing about a text, besides that it will do. */
export function noteOn({ text, dropped }: CleanText): string {
  const different = new Set(text).size;
  const parts = [
    `${countWords(Array.from(text).length, 'character')}, ${grouped(different)} different ones.`,
  ];
  if (dropped > 0) {
    parts.push(`${countWords(dropped, 'character')} that cannot be shown will be left out.`);
  }
  if (different > MANY_DIFFERENT) {
    parts.push('With so many different ones it takes a long text, and long learning.');
  }
  return parts.join(' ');
}

/**
 * The last tenth is held out: never trained on, it tells what was learned and not merely remembered.
 *
 * @param data the tokens of a model that was saved; without it they are those of the text
 */
export function makeCorpus(text: string, { heldOut }: Settings, data?: TokenizerData): Corpus {
  const tokenizer = data ? loadTokenizer(data) : learnCharacters(text);
  const tokens = tokenizer.encode(text);
  const cut = Math.floor(tokens.length * (1 - heldOut));
  return {
    tokenizer,
    characters: tokens.length,
    training: tokens.subarray(0, cut),
    heldOut: tokens.subarray(cut),
  };
}
