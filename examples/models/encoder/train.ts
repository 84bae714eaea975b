// SPDX-License-Identifier: Apache-2.0
/**
 * Trains a small encoder on sequences of different lengths, padded to one: whether the letter after the separator is
 * among those before. The encoder has to compare tokens with each other, and may not look at the padding.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { seededRandom } from '../../shared/random.js';
import { apply } from '../layers/apply.js';
import { drawWeights } from '../layers/draw_weights.js';
import { fitAndScore } from '../layers/fit_and_score.js';
import { buildEncoder } from './model.js';

const PADDING = 0;
const FIRST = 1;
const SEPARATOR = 2;
const LETTERS = 12;
const MOST = 8;
const LENGTH = MOST + 3;

interface Example {
  tokens: number[];
  types: number[];
  isAmong: boolean;
}

/** [first] a b c [separator] b, with token types 0 and 1, padded; in half of them the last letter is another one. */
function drawExample(random: () => number): Example {
  const below = (bound: number) => Math.floor(random() * bound);
  const letters = Array.from({ length: LETTERS }, (_, index) => 3 + index);
  const before = Array.from({ length: 2 + below(MOST - 1) }, () => letters[below(LETTERS)]!);
  const others = letters.filter((letter) => !before.includes(letter));
  const isAmong = random() < 0.5;
  const candidates = isAmong ? before : others;
  const asked = candidates[below(candidates.length)]!;
  const real = [FIRST, ...before, SEPARATOR, asked];
  const padding = new Array<number>(LENGTH - real.length).fill(PADDING);
  const types = real.map((_, at) => (at === real.length - 1 ? 1 : 0));
  return { tokens: [...real, ...padding], types: [...types, ...padding], isAmong };
}

function drawExamples(count: number, seed: number) {
  const random = seededRandom(seed);
  const all = Array.from({ length: count }, () => drawExample(random));
  const ids = (rows: number[][]) => tf.tensor2d(rows, [count, LENGTH], 'int32');
  return {
    x: [ids(all.map(({ tokens }) => tokens)), ids(all.map(({ types }) => types))],
    y: tf.tensor2d(
      all.map(({ isAmong }) => (isAmong ? 1 : 0)),
      [count, 1],
    ),
  };
}

/** A classifier over the pooler's output, as of BertForSequenceClassification. */
function buildClassifier(): tfl.LayersModel {
  const encoder = buildEncoder({
    ...{ vocabulary: 3 + LETTERS, tokenTypes: 2, positions: LENGTH, width: 48, mlpWidth: 96 },
    ...{ heads: 4, layers: 2, activation: 'gelu', epsilon: 1e-6, dropout: 0, pooler: true },
  });
  const dense = tfl.layers.dense({ name: 'among', units: 1, activation: 'sigmoid' });
  return tfl.model({ inputs: encoder.inputs, outputs: apply(dense, encoder.outputs[1]!) });
}

export interface EncoderRun {
  epochs: number;
  seed: number;
  onEpoch?: (epoch: number, loss: number, accuracy: number) => void;
}

/** @returns the share of 500 new sequences that are judged rightly */
export function trainEncoder({ epochs, seed, onEpoch }: EncoderRun): Promise<number> {
  return fitAndScore({
    model: drawWeights(buildClassifier(), seed),
    ...{ loss: 'binaryCrossentropy', learningRate: 1e-3, epochs, onEpoch },
    training: drawExamples(4000, seed),
    validation: drawExamples(500, seed + 1),
  });
}
