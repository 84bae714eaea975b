// SPDX-License-Identifier: Apache-2.0
/** The third part of the page: a transformer that learns the visitor's text. */
import { breathe } from '../page/breathe.js';
import { byId, onEvent } from '../page/dom.js';
import { setFieldError } from '../page/field_error.js';
import { notifyError } from '../page/notices.js';
import { endTurn, takeTurn } from '../page/turns.js';
import { countWords, grouped, listWords, reasonOf } from '../page/words.js';
import type { Activity } from './form.js';
import { fields, prepareForm, readWish, showButtons, showWish } from './form.js';
import { learn } from './learn.js';
import { Passages } from './passages.js';
import { ProgressView } from './progress_view.js';

import { forget, load, save } from './store.js';
import { withSuitedProducts } from './suited_products.js';
import { Writer } from './writer.js';

/** Characters of a passage: while it learns, and when it is asked to write. */
const PASSAGE = 120;
const LONG_PASSAGE = 240;

function say(text: string): void {
  byId('writer-state', HTMLElement).textContent = text;
}

function sayOfStore(text: string): void {
  byId('writer-store-state', HTMLElement).textContent = text;
}

export class WriterPart {
  private writer: Writer | null = null;
  private isStopped = false;
  private isDropped = false;
  private isBusy = false;
  private readonly progress = new ProgressView();
  private readonly passages = new Passages();

  constructor() {
    const on = (button: HTMLElement, act: () => void | Promise<void>) =>
      onEvent(button, 'click', act, notifyError);
    onEvent(fields.form, 'submit', () => this.start(), notifyError);
    on(fields.stop, () => this.stop());
    on(fields.anew, () => this.begin());
    on(fields.write, () => this.write());
    on(fields.save, () => this.save());
    on(fields.load, () => this.load());
    on(fields.forget, () => this.forget());
  }

  /** There is a backend now. */
  enable(): void {
    prepareForm();
    showButtons(null, 'none');
  }

  stop(): void {
    this.isStopped = true;
    say('Stopping after this step …');
  }

  /** The model was on a device that is lost. */
  drop(): void {
    this.isStopped = true;
    this.isDropped = true;
    if (!this.isBusy) this.discard();
    say('The model went with the graphics device. Load what was saved, or start anew.');
    showButtons(null, 'none');
  }

  private discard(): void {
    this.writer?.dispose();
    this.writer = null;
  }

  private async start(): Promise<void> {
    const { writer } = this;
    if (writer) await this.taking('learning', say, () => this.learn(writer));
    else await this.begin();
  }

  private async begin(): Promise<void> {
    const wish = readWish();
    if (!wish) return;
    await this.taking('learning', say, async () => {
      const writer = Writer.begin(wish.text, wish.size, wish.steps);
      this.replace(writer);
      await this.learn(writer);
    });
  }

  private replace(writer: Writer): void {
    this.discard();
    this.writer = writer;
    this.progress.show(writer);
    this.passages.clear();
  }

  /** Runs what needs the device for itself; `tell` says what it throws, and what is under way already. */
  private async taking(
    activity: Activity,
    tell: (text: string) => void,
    run: () => Promise<void>,
  ): Promise<void> {
    const busy = takeTurn(activity);
    if (busy !== undefined) {
      tell(`The page is ${busy} now. Stop that first.`);
      return;
    }
    this.isStopped = this.isDropped = false;
    this.isBusy = true;
    showButtons(this.writer, activity);
    try {
      await withSuitedProducts(run);
    } catch (error) {
      console.warn(error);
      // With the device the model is lost, and that is said already.
      if (!this.isDropped) tell(`${reasonOf(error)}.`);
    } finally {
      this.isBusy = false;
      // Not before: what was under way had its tensors.
      if (this.isDropped) this.discard();
      endTurn();
      showButtons(this.writer, 'none');
    }
  }

  private async learn(writer: Writer): Promise<void> {
    say(writer.steps === 0 ? 'Learning. The first step takes longer: it compiles.' : 'Learning.');
    await breathe();
    await learn(writer, {
      isStopped: () => this.isStopped,
      onStep: () => {
        if (writer.steps === 1) say('Learning.');
        this.progress.update(writer);
      },
      onPassage: () => this.passage(writer, PASSAGE),
    });
    this.progress.show(writer);
    if (writer.isDone) await this.passage(writer, PASSAGE);
    say(this.endWords(writer));
  }

  private endWords(writer: Writer): string {
    const loss = writer.losses.heldOut.at(-1)![1].toFixed(3);
    const steps = countWords(writer.steps, 'step');
    if (!writer.isDone) return `Stopped after ${steps}. Held-out loss ${loss}.`;
    return `All ${steps} are done. Held-out loss ${loss}. To learn on, choose more steps and begin anew.`;
  }

  /** The prompt; undefined if the model knows none of its characters, which is then said beside it. */
  private prompt(writer: Writer): string | undefined {
    const given = fields.prompt.value;
    if (given === '') return writer.usualPrompt;
    const unknown = writer.unknownIn(given).map((character) => `“${character}”`);
    if (unknown.length === 0) return given;
    const some = listWords(unknown.slice(0, 5));
    setFieldError(fields.prompt, `The text has no ${some}, so the model cannot read it.`);
    return undefined;
  }

  private async passage(writer: Writer, count: number): Promise<void> {
    const prompt = this.prompt(writer) ?? writer.usualPrompt;
    const append = this.passages.begin(`after ${countWords(writer.steps, 'step')}`, prompt);
    const temperature = Number(fields.temperature.value);
    for await (const piece of writer.write(prompt, count, temperature)) {
      append(piece);
      await breathe();
      if (this.isStopped) break;
    }
  }

  private async write(): Promise<void> {
    const { writer } = this;
    if (!writer) return;
    if (this.prompt(writer) === undefined) {
      fields.prompt.focus();
      return;
    }
    await this.taking('writing', say, async () => {
      say('Writing …');
      await this.passage(writer, LONG_PASSAGE);
      say(this.isStopped ? 'Stopped writing.' : 'Written.');
    });
  }

  private async save(): Promise<void> {
    const { writer } = this;
    if (!writer) return;
    await this.taking('saving', sayOfStore, async () => {
      sayOfStore('Saving …');
      await save(await writer.save());
      sayOfStore(`Saved after ${countWords(writer.steps, 'step')}, the text with it.`);
    });
  }

  private async load(): Promise<void> {
    await this.taking('loading', sayOfStore, async () => {
      sayOfStore('Loading …');
      const writer = Writer.restore(await load());
      this.replace(writer);
      showWish(writer);
      say('');
      const steps = `${grouped(writer.steps)} of ${countWords(writer.settings.steps, 'step')}`;
      sayOfStore(`Loaded, after ${steps}.`);
    });
  }

  private async forget(): Promise<void> {
    await this.taking('deleting', sayOfStore, async () => {
      const words = (await forget())
        ? 'Deleted from this browser.'
        : 'Nothing is saved in this browser.';
      sayOfStore(words);
    });
  }
}
