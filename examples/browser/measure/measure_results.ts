// SPDX-License-Identifier: Apache-2.0
/** What was measured, as two charts, a table, and a sentence for each end. */
import { LineChart } from '../chart/line_chart.js';
import type { Series } from '../chart/line_chart.js';
import { powersOfTen, powersOfTwo } from '../chart/scale.js';
import { byId, make } from '../page/dom.js';
import { makeTable } from '../page/table.js';
import { byteWords, grouped, timeWords } from '../page/words.js';
import type { Point } from './measure_point.js';
import type { Side } from './op_case.js';
import { SIDES } from './series.js';
import { lengthWords } from './sizes.js';
import type { OpName } from './sizes.js';

export const SIDE_WORDS: Readonly<Record<Side, string>> = {
  fused: 'tfjs-xformers',
  plain: 'plain tfjs',
};

interface Ended {
  reason: string;
  hasFailed: boolean;
}

export class MeasureResults {
  private readonly points: Record<Side, Point[]> = { fused: [], plain: [] };
  private readonly ends = new Map<Side, Ended>();
  private op: OpName = 'attention';
  private readonly time = this.chart('time-chart', timeWords);
  private readonly memory = this.chart('memory-chart', byteWords);

  constructor() {
    this.show();
  }

  begin(op: OpName): void {
    this.op = op;
    for (const side of SIDES) this.points[side].length = 0;
    this.ends.clear();
    this.show();
  }

  add(side: Side, point: Point): void {
    this.points[side].push(point);
    this.show();
  }

  end(side: Side, ended: Ended): void {
    this.ends.set(side, ended);
    this.show();
  }

  /** At the greatest length that both have: "2.5 times as fast, in a 12th of the memory". */
  get comparison(): string | undefined {
    const plain = this.points.plain.at(-1);
    const fused = this.points.fused.find(({ length }) => length === plain?.length);
    if (!plain || !fused) return undefined;
    const times = (ratio: number) => `${Number(ratio.toPrecision(2))} times`;
    const ratio = plain.milliseconds / fused.milliseconds;
    const speed = ratio >= 1 ? `${times(ratio)} as fast` : `${times(1 / ratio)} as slow`;
    const less = plain.bytes / fused.bytes;
    const memory = less >= 1 ? `${times(less)} less memory` : `${times(1 / less)} the memory`;
    return `At ${lengthWords(this.op, plain.length)} tfjs-xformers is ${speed} as plain tfjs, with ${memory}.`;
  }

  private show(): void {
    this.time.update(this.seriesOf('milliseconds'), this.label('time', 'milliseconds', timeWords));
    this.memory.update(this.seriesOf('bytes'), this.label('memory', 'bytes', byteWords));
    byId('measure-ends', HTMLElement).replaceChildren(...this.endLines());
    byId('measure-table', HTMLElement).replaceChildren(this.table());
  }

  private chart(id: string, yWords: (value: number) => string): LineChart {
    return new LineChart(byId(id, HTMLElement), {
      ...{ xScale: powersOfTwo, yScale: powersOfTen, xWords: grouped, yWords },
      xName: () => (this.op === 'norm' ? 'rows' : 'tokens'),
      emptyWords: 'Nothing is measured yet.',
    });
  }

  private seriesOf(what: 'milliseconds' | 'bytes'): Series[] {
    return SIDES.map((side) => ({
      kind: side,
      name: SIDE_WORDS[side],
      mark: side === 'fused' ? 'circle' : 'square',
      points: this.points[side].map((point) => [point.length, point[what]] as const),
      hasEnd: side === 'plain' && this.ends.has(side),
    }));
  }

  private label(
    name: string,
    what: 'milliseconds' | 'bytes',
    words: (value: number) => string,
  ): string {
    const parts = SIDES.filter((side) => this.points[side].length > 0).map((side) => {
      const [first, last] = [this.points[side][0]!, this.points[side].at(-1)!];
      return (
        `${SIDE_WORDS[side]} from ${words(first[what])} at ${lengthWords(this.op, first.length)} ` +
        `to ${words(last[what])} at ${lengthWords(this.op, last.length)}`
      );
    });
    return `Lines of ${name} by length: ${parts.join('; ')}. The table below has all numbers.`;
  }

  private endLines(): HTMLElement[] {
    return SIDES.filter((side) => this.ends.has(side)).map((side) => {
      const last = this.points[side].at(-1);
      const until = last ? `reached ${lengthWords(this.op, last.length)}` : 'measured nothing';
      const line = `${SIDE_WORDS[side]} ${until}: ${this.ends.get(side)!.reason}.`;
      return make('li', { class: side }, line);
    });
  }

  private table(): HTMLTableElement {
    const lengths = [...new Set(SIDES.flatMap((side) => this.points[side].map((p) => p.length)))];
    const columns = SIDES.map((side) => new Map(this.points[side].map((p) => [p.length, p])));
    const cells = (length: number, words: (point: Point) => string) =>
      columns.map((column) => {
        const point = column.get(length);
        return point ? words(point) : '–';
      });
    const heads = (what: string) => SIDES.map((side) => `${what}, ${side}`);
    return makeTable({
      caption:
        'Fused: tfjs-xformers. Error: the greatest difference of outputs from the formula in float64, over some rows.',
      header: [
        this.op === 'norm' ? 'rows' : 'tokens',
        ...heads('time'),
        ...heads('memory'),
        ...heads('error'),
      ],
      rows: lengths.map((length) => [
        grouped(length),
        ...cells(length, ({ milliseconds }) => timeWords(milliseconds)),
        ...cells(length, ({ bytes }) => byteWords(bytes)),
        ...cells(length, ({ error }) => error.toExponential(1)),
      ]),
    });
  }
}
