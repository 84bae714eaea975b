// SPDX-License-Identifier: Apache-2.0
/**
 * The dtype strategies, trained with the same seed on the same batches: loss, speed, memory. They take turns, so that
 * whatever else the machine does slows all of them.
 */
import { peakBytes } from '../../src/cli/bench/memory.js';
import { Progress, grouped } from '../shared/progress.js';
import { formatTable, megabytes, milliseconds } from '../shared/table.js';
import type { Device } from './backend.js';
import type { Interrupt } from './interrupt.js';
import type { Job } from './job.js';
import { RunLogs } from './logs.js';
import { logFolder, printHeading } from './session.js';
import { STRATEGIES } from './settings.js';
import type { Strategy } from './settings.js';
import { Trainer } from './trainer.js';

/** The training loss of the table is the mean of this share of the steps, the last ones. */
const LAST_SHARE = 0.1;

interface Run {
  strategy: Strategy;
  trainer: Trainer;
  logs: RunLogs;
  losses: number[];
  /** Milliseconds of each step. */
  times: number[];
}

function trainerOf({ settings, corpus }: Job, strategy: Strategy): Trainer {
  return new Trainer({ ...settings, strategy }, corpus);
}

/** Of a step after the first one, with nothing else there. */
async function measureMemory(job: Job, strategy: Strategy): Promise<number> {
  const trainer = trainerOf(job, strategy);
  await trainer.step();
  const peak = await peakBytes(() => trainer.step());
  trainer.dispose();
  return peak;
}

async function takeTurns(runs: readonly Run[], steps: number, interrupt: Interrupt): Promise<void> {
  const progress = new Progress(steps);
  for (let done = 1; done <= steps && !(await interrupt.isAsked()); done++) {
    for (const { trainer, logs, losses, times } of runs) {
      const start = performance.now();
      const report = await trainer.step();
      const time = performance.now() - start;
      times.push(time);
      losses.push(report.loss);
      logs.step(done, report, (trainer.tokens * 1000) / time);
    }
    progress.update(done, runs.map(({ losses }) => losses.at(-1)!.toFixed(3)).join('  '));
  }
  progress.end();
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

async function rowOf({ strategy, trainer, logs, losses, times }: Run, peak: number) {
  const loss = await trainer.evaluate();
  logs.evaluation(trainer.steps, loss);
  const last = losses.slice(-Math.max(1, Math.round(losses.length * LAST_SHARE)));
  const time = median(times);
  return [
    strategy,
    mean(last).toFixed(4),
    loss.toFixed(4),
    milliseconds(time),
    grouped((trainer.tokens * 1000) / time),
    megabytes(peak),
  ];
}

/** Prints the table; nothing is saved but logs. */
export async function compareStrategies(
  job: Job,
  device: Device,
  interrupt: Interrupt,
): Promise<void> {
  printHeading(job, device);
  const peaks: number[] = [];
  for (const strategy of STRATEGIES) peaks.push(await measureMemory(job, strategy));
  const runs = STRATEGIES.map((strategy): Run => {
    const logs = new RunLogs(device, logFolder(job, strategy));
    return { strategy, trainer: trainerOf(job, strategy), logs, losses: [], times: [] };
  });
  const { steps } = job.settings;
  console.log(`Training ${STRATEGIES.join(', ')} in turns: ${grouped(steps)} steps each`);
  await takeTurns(runs, steps, interrupt);
  const done = runs[0]!.losses.length;
  const rows: string[][] = [];
  if (done > 0) {
    for (const [index, run] of runs.entries()) rows.push(await rowOf(run, peaks[index]!));
  }
  for (const { trainer } of runs) trainer.dispose();
  const titles = [
    'dtype',
    'training loss',
    'held-out loss',
    'step, median',
    'tokens/s',
    'peak memory',
  ];
  console.log(`\n${formatTable(titles, rows)}\n`);
  console.log(
    `After ${grouped(done)} steps; losses in nats per token, the training loss over the last tenth of the steps. ` +
      'Peak memory:\ntensors held during a step, weights and moments included.',
  );
}
