// SPDX-License-Identifier: Apache-2.0
/** A text for tests of the training example, and settings of a model that is trained in seconds. */
import { readOptions } from '../../examples/node-training/options.js';
import type { Settings } from '../../examples/node-training/settings.js';
import { seededRandom } from '../../examples/shared/random.js';

const WORDS = ['the', 'cat', 'sat', 'on', 'a', 'mat', 'and', 'dog', 'ran', 'größer', '猫', '2026'];

/** Sentences of a few words, drawn from a seed. */
export function sentences(count: number, seed = 1): string {
  const random = seededRandom(seed);
  const word = () => WORDS[Math.floor(random() * WORDS.length)]!;
  const sentence = () => `${Array.from({ length: 6 }, word).join(' ')}.\n`;
  return Array.from({ length: count }, sentence).join('');
}

/** Options of a small model. */
export const SMALL = [
  ...['--width', '16', '--heads', '4', '--kv-heads', '2', '--blocks', '2'],
  ...['--context', '16', '--batch', '3', '--steps', '12', '--learning-rate', '1e-2'],
];

export function smallSettings(...more: string[]): Settings {
  return readOptions(['text', ...SMALL, ...more]).settings;
}
