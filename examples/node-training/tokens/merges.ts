// SPDX-License-Identifier: Apache-2.0
/**
 * Learns byte pairs: again and again the pair of neighbours that occurs most often becomes one token. Works on the
 * different words of the text with their counts, and after each merge looks only at words that had the pair.
 */

export type Pair = [left: number, right: number];

/** A word as tokens so far, and how often it is in the text. */
export interface CountedWord {
  parts: number[];
  count: number;
}

interface PairCount {
  pair: Pair;
  count: number;
  /** Words that have the pair, or had it. */
  words: Set<CountedWord>;
}

class PairCounts {
  private readonly counts = new Map<string, PairCount>();

  /** Counts the pairs of a word once more (`sign` 1), or no longer (-1). */
  add(word: CountedWord, sign: 1 | -1): void {
    for (let at = 0; at + 1 < word.parts.length; at++) {
      const pair: Pair = [word.parts[at]!, word.parts[at + 1]!];
      const key = `${pair[0]} ${pair[1]}`;
      const entry = this.counts.get(key) ?? { pair, count: 0, words: new Set<CountedWord>() };
      entry.count += sign * word.count;
      entry.words.add(word);
      if (entry.count === 0) this.counts.delete(key);
      else this.counts.set(key, entry);
    }
  }

  /** The pair that occurs most often; of several the one with the lower tokens, so that the order is always the same. */
  most(): PairCount | undefined {
    let best: PairCount | undefined;
    for (const entry of this.counts.values()) {
      if (best === undefined || isBefore(entry, best)) best = entry;
    }
    return best;
  }
}

function isBefore(a: PairCount, b: PairCount): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.pair[0] - b.pair[0] < 0 || (a.pair[0] === b.pair[0] && a.pair[1] < b.pair[1]);
}

function replace(parts: readonly number[], [left, right]: Pair, token: number): number[] {
  const replaced: number[] = [];
  for (let at = 0; at < parts.length; at++) {
    const isPair = parts[at] === left && parts[at + 1] === right;
    replaced.push(isPair ? token : parts[at]!);
    if (isPair) at++;
  }
  return replaced;
}

/**
 * @param words are changed
 * @param first the number of the first new token
 * @param end the number after the last one
 */
export function learnMerges(words: readonly CountedWord[], first: number, end: number): Pair[] {
  const counts = new PairCounts();
  for (const word of words) counts.add(word, 1);
  const merges: Pair[] = [];
  for (let token = first; token < end; token++) {
    const best = counts.most();
    if (best === undefined || best.count < 2) break;
    for (const word of [...best.words]) {
      counts.add(word, -1);
      word.parts = replace(word.parts, best.pair, token);
      counts.add(word, 1);
    }
    merges.push(best.pair);
  }
  return merges;
}
