// SPDX-License-Identifier: Apache-2.0

/**
 * Letters, digits or punctuation, each with the space before it if there is one, and runs of white space but for the
 * space that belongs to the next word. No run is longer than 24 characters: encoding takes a time that is proportional
 * to the text, whatever is in it.
 */
const WORDS =
  / ?[\p{L}\p{M}]{1,24}| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]{1,24}|\s{1,24}(?!\S)|\s{1,24}/gu;

/** The words of a text, which together are the text: no token of byte pairs goes across their ends. */
export function* wordsOf(text: string): Generator<string> {
  for (const [word] of text.matchAll(WORDS)) yield word;
}
