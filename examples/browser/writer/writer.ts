// SPDX-License-Identifier: Apache-2.0
/**
 * A transformer with the text that it learns. Model, training step, checkpoints and sampling are those of
 * examples/node-training: they need no more than tfjs, and run in a browser as they are.
 */
import { restore, takeCheckpoint } from '../../node-training/checkpoint.js';
import type { Corpus } from '../../node-training/corpus.js';
import { generate } from '../../node-training/generate.js';
import type { Settings } from '../../node-training/settings.js';
import { Trainer } from '../../node-training/trainer.js';
import { Random } from '../../shared/random.js';
import { makeCorpus } from './corpus.js';
import { addHeldOut, addTraining, emptyHistory } from './loss_history.js';
import type { LossHistory } from './loss_history.js';
import { Pace } from './pace.js';
import { settingsOf } from './sizes.js';
import type { SizeName } from './sizes.js';
import type { Saved } from './store.js';

/** Only so many of the most likely characters can be drawn. */
const TOP_K = 20;

/** The whole text is kept beside a checkpoint, so nothing has to find it again. */
const TEXT_PLACE = { path: 'the text box', sha256: '' };

export class Writer {
  readonly pace: Pace;

  private constructor(
    readonly text: string,
    readonly size: SizeName,
    private readonly corpus: Corpus,
    private readonly trainer: Trainer,
    readonly losses: LossHistory,
  ) {
    this.pace = new Pace(trainer.tokens);
  }

  /** A model that has learned nothing yet. */
  static begin(text: string, size: SizeName, steps: number): Writer {
    const settings = settingsOf(size, steps);
    const corpus = makeCorpus(text, settings);
    return new Writer(text, size, corpus, new Trainer(settings, corpus), emptyHistory());
  }

  /** The model that was saved; it goes on as if it had never stopped. */
  static restore({ checkpoint, text, size, losses }: Saved): Writer {
    const { settings, tokenizer } = checkpoint.state;
    const corpus = makeCorpus(text, settings, tokenizer);
    const trainer = new Trainer(settings, corpus);
    try {
      restore(trainer, checkpoint);
    } catch (error) {
      trainer.dispose();
      throw error;
    }
    return new Writer(text, size, corpus, trainer, losses);
  }

  async save(): Promise<Saved> {
    const { trainer, corpus, text, size, losses } = this;
    const checkpoint = await takeCheckpoint(trainer, corpus.tokenizer, TEXT_PLACE);
    return { checkpoint, text, size, losses };
  }

  get settings(): Settings {
    return this.trainer.settings;
  }

  get steps(): number {
    return this.trainer.steps;
  }

  get isDone(): boolean {
    return this.steps >= this.settings.steps;
  }

  get weights(): number {
    return this.trainer.parameters;
  }

  /** One step of training. @returns its loss, in nats per character */
  async step(): Promise<number> {
    const start = performance.now();
    const { loss } = await this.trainer.step();
    this.pace.add(performance.now() - start);
    addTraining(this.losses, this.steps, loss);
    return loss;
  }

  /** The loss on the part of the text that is held out; measured once for each step. */
  async evaluate(): Promise<number> {
    const known = this.losses.heldOut.at(-1);
    if (known?.[0] === this.steps) return known[1];
    const loss = await this.trainer.evaluate();
    addHeldOut(this.losses, this.steps, loss);
    return loss;
  }

  /** Characters of `prompt` that the text does not have. */
  unknownIn(prompt: string): string[] {
    const { tokenizer } = this.corpus;
    const isUnknown = (character: string) => tokenizer.encode(character)[0] === 0;
    return [...new Set(prompt)].filter(isUnknown);
  }

  /** What a passage begins with when nothing is given: a new line where there are lines. */
  get usualPrompt(): string {
    return this.text.includes('\n') ? '\n' : this.text.slice(0, 1);
  }

  /** Writes after `prompt`, piece by piece; after the same steps the same again. */
  async *write(prompt: string, count: number, temperature: number): AsyncGenerator<string> {
    const { tokenizer } = this.corpus;
    const decoder = tokenizer.decoder();
    const random = new Random(this.settings.seed + this.steps);
    const tokens = generate({
      ...{ model: this.trainer.model, context: this.settings.context, count, temperature },
      ...{ prompt: tokenizer.encode(prompt), topK: TOP_K, random: () => random.next() },
    });
    for await (const token of tokens) yield decoder.next(token);
  }

  dispose(): void {
    this.trainer.dispose();
  }
}
