// SPDX-License-Identifier: Apache-2.0
/** The same model with this package's kernels and with plain tfjs ops: time, memory, loss. */
import type { Batch } from '../shared/batches.js';
import type { Kernels } from './kernels.js';
import { peakBytes } from '../../src/cli/bench/memory.js';
import type { ModelConfig } from './model.js';
import { Trainer } from './train.js';

export interface Comparison {
  config: ModelConfig;
  /** Each makes the kernels of one model. */
  makers: readonly (() => Kernels)[];
  /** Both models take the same ones: one step each. */
  batches: readonly Batch[];
  validation: readonly Batch[];
  learningRate: number;
  seed: number;
  /** Called after each step that is timed. */
  onStep: (done: number) => void;
}

export interface Measured {
  name: string;
  /** Milliseconds: the median step, and the bounds of its middle 60%. */
  median: number;
  p20: number;
  p80: number;
  peakBytes: number;
  /** Of the validation batches after the steps, in nats per token. */
  loss: number;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * q)]!;
}

/** Peak of a step after the first, which also compiles whatever has to be compiled. */
async function measureMemory(comparison: Comparison, make: () => Kernels): Promise<number> {
  const { config, seed, batches, learningRate } = comparison;
  const trainer = new Trainer(config, make(), seed);
  await trainer.step(batches[0]!, learningRate);
  const peak = await peakBytes(() => trainer.step(batches[0]!, learningRate));
  trainer.dispose();
  return peak;
}

/**
 * Memory is measured with one model at a time; then both begin anew from the same weights and take
 * turns, so that whatever else the machine does slows both.
 */
export async function compare(comparison: Comparison): Promise<Measured[]> {
  const { config, makers, batches, validation, learningRate, seed, onStep } = comparison;
  const peaks: number[] = [];
  for (const make of makers) peaks.push(await measureMemory(comparison, make));
  const trainers = makers.map((make) => new Trainer(config, make(), seed));
  const times: number[][] = makers.map(() => []);
  let done = 0;
  for (const batch of batches) {
    for (const [index, trainer] of trainers.entries()) {
      const start = performance.now();
      await trainer.step(batch, learningRate);
      times[index]!.push(performance.now() - start);
      onStep(++done);
    }
  }
  const results: Measured[] = [];
  for (const [index, trainer] of trainers.entries()) {
    results.push({
      name: trainer.kernels.name,
      median: quantile(times[index]!, 0.5),
      p20: quantile(times[index]!, 0.2),
      p80: quantile(times[index]!, 0.8),
      peakBytes: peaks[index]!,
      loss: await trainer.evaluate(validation),
    });
    trainer.dispose();
  }
  return results;
}
