// SPDX-License-Identifier: Apache-2.0
/**
 * Byte-pair encoding (Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units",
 * 2016) of UTF-8 bytes, so that every text has tokens: 0 to 255 are the bytes, each later one is two tokens that
 * often follow each other within a word.
 */
import { learnMerges } from './merges.js';
import type { Pair } from './merges.js';
import type { Decoder, Tokenizer } from './tokenizer.js';
import { wordsOf } from './words.js';

export interface BytePairData {
  kind: 'byte-pairs';
  /** The two parts of token 256 + i. */
  merges: Pair[];
}

export const BYTES = 256;

/** Words whose tokens are remembered. */
const MOST_KNOWN = 100_000;

export class BytePairs implements Tokenizer {
  readonly size: number;
  /** By the two parts, the token of a merge; the lower it is, the earlier it was learned. */
  private readonly tokenOf = new Map<string, number>();
  private readonly bytesOf: Uint8Array[];
  private readonly known = new Map<string, readonly number[]>();

  constructor(readonly data: BytePairData) {
    this.bytesOf = Array.from({ length: BYTES }, (_, byte) => Uint8Array.of(byte));
    for (const [left, right] of data.merges) {
      this.tokenOf.set(`${left} ${right}`, this.bytesOf.length);
      this.bytesOf.push(Uint8Array.of(...this.bytesOf[left]!, ...this.bytesOf[right]!));
    }
    this.size = this.bytesOf.length;
  }

  encode(text: string): Int32Array {
    const tokens: number[] = [];
    for (const word of wordsOf(text)) {
      for (const token of this.encodeWord(word)) tokens.push(token);
    }
    return Int32Array.from(tokens);
  }

  private encodeWord(word: string): readonly number[] {
    const known = this.known.get(word);
    if (known) return known;
    let parts = Array.from(new TextEncoder().encode(word));
    for (;;) {
      const earliest = this.earliestMerge(parts);
      if (earliest === Infinity) break;
      parts = this.merge(parts, earliest);
    }
    if (this.known.size < MOST_KNOWN) this.known.set(word, parts);
    return parts;
  }

  private mergeAt(parts: readonly number[], at: number): number {
    return this.tokenOf.get(`${parts[at]} ${parts[at + 1]}`) ?? Infinity;
  }

  private earliestMerge(parts: readonly number[]): number {
    let earliest = Infinity;
    for (let at = 0; at + 1 < parts.length; at++) {
      earliest = Math.min(earliest, this.mergeAt(parts, at));
    }
    return earliest;
  }

  private merge(parts: readonly number[], token: number): number[] {
    const merged: number[] = [];
    for (let at = 0; at < parts.length; at++) {
      const isPair = at + 1 < parts.length && this.mergeAt(parts, at) === token;
      merged.push(isPair ? token : parts[at]!);
      if (isPair) at++;
    }
    return merged;
  }

  decoder(): Decoder {
    const decoder = new TextDecoder();
    const bytesOf = (token: number) => this.bytesOf[token] ?? new Uint8Array(0);
    return {
      next: (token) => decoder.decode(bytesOf(token), { stream: true }),
      end: () => decoder.decode(),
    };
  }
}

/** Learns merges until there are `vocabulary` tokens, or until no pair occurs twice. */
export function learnBytePairs(text: string, vocabulary: number): BytePairs {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const encoder = new TextEncoder();
  const words = Array.from(counts, ([word, count]) => ({
    parts: Array.from(encoder.encode(word)),
    count,
  }));
  return new BytePairs({ kind: 'byte-pairs', merges: learnMerges(words, BYTES, vocabulary) });
}
