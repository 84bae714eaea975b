// SPDX-License-Identifier: Apache-2.0
/** The loop: steps with a progress bar and logs, evaluations, checkpoints, until the end or until somebody asks. */
import { Progress, grouped } from '../shared/progress.js';
import { takeCheckpoint } from './checkpoint.js';
import { writeCheckpoint } from './checkpoint_files.js';
import type { Interrupt } from './interrupt.js';
import type { Job } from './job.js';
import type { RunLogs } from './logs.js';
import type { StepReport, Trainer } from './trainer.js';

/** Shares of the last loss and of those before it, in what the bar shows. */
const SMOOTHING = 0.9;

/** Time that goes into steps, without evaluations and checkpoints. */
class Pace {
  private milliseconds = 0;
  private steps = 0;
  private loss: number | undefined;

  constructor(private readonly tokens: number) {}

  async time(step: () => Promise<StepReport>): Promise<StepReport> {
    const start = performance.now();
    const report = await step();
    this.milliseconds += performance.now() - start;
    this.steps++;
    const { loss } = report;
    this.loss = this.loss === undefined ? loss : SMOOTHING * this.loss + (1 - SMOOTHING) * loss;
    return report;
  }

  get tokensPerSecond(): number {
    return (this.steps * this.tokens * 1000) / this.milliseconds;
  }

  /** @param left steps to go */
  describe(left: number): string {
    const seconds = (left * this.milliseconds) / this.steps / 1000;
    const time = seconds < 100 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
    const speed = `${grouped(this.tokensPerSecond)} tokens/s`;
    return `loss ${this.loss!.toFixed(3)}  ${speed}  ${time} left`;
  }
}

async function save({ run, text, corpus }: Job, trainer: Trainer): Promise<string> {
  const checkpoint = await takeCheckpoint(trainer, corpus.tokenizer, text);
  return writeCheckpoint(run.out, checkpoint, run.keep);
}

/** Before anything is saved: weights that such a gradient has moved are lost. */
function checkReport({ loss, gradientNorm }: StepReport, step: number): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  throw new Error(
    `step ${step} has a loss of ${loss} and a gradient of norm ${gradientNorm}: ` +
      'take a smaller --learning-rate or a longer --warm-up',
  );
}

/** Trains until the last step, `run.stopAfter` steps or an interrupt; a checkpoint is saved at the end. */
export async function train(
  job: Job,
  trainer: Trainer,
  logs: RunLogs,
  interrupt: Interrupt,
): Promise<void> {
  const { settings, run } = job;
  if (trainer.steps >= settings.steps) {
    console.log(`  this run is finished: all of its ${grouped(settings.steps)} steps are done`);
    return;
  }
  const end = Math.min(settings.steps, trainer.steps + run.stopAfter);
  const progress = new Progress(settings.steps);
  const pace = new Pace(trainer.tokens);
  let saved: string | undefined;
  try {
    while (trainer.steps < end && !(await interrupt.isAsked())) {
      const report = await pace.time(() => trainer.step());
      const { steps } = trainer;
      checkReport(report, steps);
      logs.step(steps, report, pace.tokensPerSecond);
      progress.update(steps, pace.describe(settings.steps - steps));
      if (steps % run.evaluateEvery === 0 || steps === settings.steps) {
        const loss = await trainer.evaluate();
        logs.evaluation(steps, loss);
        progress.print(`step ${grouped(steps)}: held-out loss ${loss.toFixed(4)} nats per token`);
      }
      saved = steps % run.saveEvery === 0 ? await save(job, trainer) : undefined;
    }
    saved ??= await save(job, trainer);
  } finally {
    progress.end();
    logs.flush();
  }
  console.log(`  checkpoint after ${grouped(trainer.steps)} steps: ${saved}`);
  if (trainer.steps < settings.steps) console.log('  --resume goes on from there');
}
