// SPDX-License-Identifier: Apache-2.0
/** The second part of the page: fused against plain, measured live. */
import { byId, onEvent } from '../page/dom.js';
import { notifyError } from '../page/notices.js';
import { endTurn, takeTurn } from '../page/turns.js';
import { grouped, timeWords } from '../page/words.js';
import { countedThings } from './memory.js';
import { MeasureResults, SIDE_WORDS } from './measure_results.js';
import { measureSeries } from './series.js';
import type { SeriesEvent, SeriesPlan } from './series.js';
import { lengthWords, sizesHere } from './sizes.js';
import type { OpName } from './sizes.js';

const GIGABYTE = 1e9;

const start = () => byId('measure-start', HTMLButtonElement);
const stop = () => byId('measure-stop', HTMLButtonElement);

function say(text: string): void {
  byId('measure-state', HTMLElement).textContent = text;
}

function chosen(id: string): string {
  return byId(id, HTMLSelectElement).value;
}

/** Under which conditions the numbers hold. */
function conditions({ op, hasGradients, sizes }: SeriesPlan): string {
  const { heads, headDim, channels, longestCall } = sizes;
  const what =
    op === 'attention'
      ? `Causal attention, ${heads} heads of ${headDim}, one sequence`
      : `Layer norm of rows of ${grouped(channels)} channels, with gamma and beta`;
  const pass = hasGradients ? 'forward and the gradients of all inputs' : 'forward only';
  return (
    `${what}, float32, ${pass}. Median of up to seven calls, each until its first value has been read back. Memory: ` +
    `${countedThings()} of tfjs, inputs included. No call is begun that would take longer than ${timeWords(longestCall)}.`
  );
}

export class MeasurePart {
  private readonly results = new MeasureResults();
  private isStopped = false;

  /** @param seconds the longest call that is measured; null for what suits the device */
  constructor(private readonly seconds: number | null) {
    onEvent(byId('measure-form', HTMLFormElement), 'submit', () => this.run(), notifyError);
    onEvent(stop(), 'click', () => this.stop(), notifyError);
  }

  /** Measuring begins to be possible. */
  enable(): void {
    start().disabled = false;
  }

  stop(): void {
    if (stop().disabled) return;
    this.isStopped = true;
    say('Stopping after this call …');
  }

  private plan(): SeriesPlan {
    return {
      op: chosen('measure-op') as OpName,
      hasGradients: chosen('measure-pass') === 'gradients',
      memory: Number(chosen('measure-memory')) * GIGABYTE,
      sizes: sizesHere(this.seconds),
    };
  }

  private async run(): Promise<void> {
    const busy = takeTurn('measuring');
    if (busy !== undefined) {
      say(
        `The page is ${busy} now, and times measured beside that would be wrong. Stop that first.`,
      );
      return;
    }
    this.isStopped = false;
    start().disabled = true;
    stop().disabled = false;
    stop().focus();
    const plan = this.plan();
    try {
      byId('measure-conditions', HTMLElement).textContent = conditions(plan);
      this.results.begin(plan.op);
      for await (const event of measureSeries(plan)) {
        this.take(event, plan.op);
        if (this.isStopped) break;
      }
      const end = this.isStopped ? 'Stopped.' : 'Done.';
      say([end, this.results.comparison ?? ''].join(' ').trim());
    } finally {
      endTurn();
      start().disabled = false;
      // The focus would be lost with a button that can no longer be pressed.
      if (document.activeElement === stop()) start().focus();
      stop().disabled = true;
    }
  }

  private take(event: SeriesEvent, op: OpName): void {
    switch (event.kind) {
      case 'begin':
        say(`Measuring ${SIDE_WORDS[event.side]} at ${lengthWords(op, event.length)} …`);
        return;
      case 'point':
        this.results.add(event.side, event.point);
        return;
      case 'end':
        this.results.end(event.side, event);
    }
  }
}
