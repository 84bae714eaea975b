// SPDX-License-Identifier: Apache-2.0
/** How learning goes: four figures, the loss as a chart, and the same as a table. */
import { LineChart } from '../chart/line_chart.js';
import { countsFromZero, fromZero } from '../chart/scale.js';
import { byId } from '../page/dom.js';
import { makeTable } from '../page/table.js';
import { grouped } from '../page/words.js';
import { smoothed, someOf } from './loss_history.js';
import type { LossHistory } from './loss_history.js';
import type { Writer } from './writer.js';

const TABLE_ROWS = 16;
/** Between two drawings: steps can be faster than anyone reads. */
const REDRAW_MS = 120;
const NONE = '–';

function set(id: string, text: string): void {
  byId(id, HTMLElement).textContent = text;
}

function lossTable({ training, heldOut }: LossHistory): HTMLTableElement {
  const line = new Map(smoothed(training));
  return makeTable({
    caption:
      'Training: a moving mean. Held out: the last tenth of the text, never trained on. A loss of ln(n) is that of guessing among n characters.',
    header: ['step', 'training', 'held out'],
    rows: someOf(heldOut, TABLE_ROWS).map(([step, loss]) => [
      grouped(step),
      line.get(step)?.toFixed(3) ?? NONE,
      loss.toFixed(3),
    ]),
  });
}

export class ProgressView {
  private readonly chart = new LineChart(byId('loss-chart', HTMLElement), {
    xScale: countsFromZero,
    yScale: fromZero,
    xWords: grouped,
    yWords: (value) => String(Number(value.toFixed(2))),
    xName: () => 'steps',
    emptyWords: 'Nothing is learned yet.',
  });
  private drawn = 0;

  constructor() {
    this.show(null);
  }

  /** Shows the state of a model, unless the last one was shown just now. */
  update(writer: Writer): void {
    if (performance.now() - this.drawn > REDRAW_MS) this.show(writer);
  }

  show(writer: Writer | null): void {
    this.drawn = performance.now();
    const losses = writer?.losses ?? { training: [], heldOut: [] };
    const line = smoothed(losses.training);
    const loss = line.at(-1)?.[1];
    const speed = writer?.pace.tokensPerSecond;
    set(
      'writer-step',
      writer ? `${grouped(writer.steps)} / ${grouped(writer.settings.steps)}` : NONE,
    );
    set('writer-loss', loss?.toFixed(3) ?? NONE);
    set('writer-speed', speed === undefined ? NONE : grouped(speed));
    set('writer-weights', writer ? grouped(writer.weights) : NONE);
    const [first, last] = [line[0], line.at(-1)];
    const label =
      first && last
        ? `Line of the training loss, from ${first[1].toFixed(2)} at step ${grouped(first[0])} to ${last[1].toFixed(2)} at step ${grouped(last[0])}. The table below has more.`
        : '';
    this.chart.update(
      [
        { kind: 'fused', name: 'training', mark: 'none', points: line },
        { kind: 'held-out', name: 'held out', mark: 'square', points: losses.heldOut },
      ],
      label,
    );
    byId('loss-table', HTMLElement).replaceChildren(lossTable(losses));
  }
}
