// SPDX-License-Identifier: Apache-2.0
/**
 * Lines over an axis, as inline SVG of the width that there is: text keeps its size on every screen. Each series has a
 * colour, a mark and a dash of its own, and its name above the lines. For who does not see it, a label says in one
 * sentence what it shows, and the page has the same numbers as a table.
 */
import type { Scale } from './scale.js';
import { svg } from './svg.js';

export interface Series {
  /** Class of its colour in styles/figures.css. */
  kind: 'fused' | 'plain' | 'held-out';
  name: string;
  mark: 'circle' | 'square' | 'none';
  points: readonly (readonly [x: number, y: number])[];
  /** A cross at the last point: it goes no further. */
  hasEnd?: boolean;
}

export interface ChartOptions {
  xScale: (values: readonly number[]) => Scale;
  yScale: (values: readonly number[]) => Scale;
  xWords: (value: number) => string;
  yWords: (value: number) => string;
  xName: () => string;
  /** Shown while there is nothing to draw. */
  emptyWords: string;
}

const HEIGHT = 260;
const MARGIN = { top: 36, right: 26, bottom: 44, left: 62 };
const MARK = 5;
/** Least room of a number on the horizontal axis. */
const TICK_WIDTH = 54;
/** Of the names: the place of their marks, and room for a letter. */
const LEGEND = { y: 10, line: 26, gap: 18, letter: 7.6, row: 15 };

interface Places {
  width: number;
  x: (value: number) => number;
  y: (value: number) => number;
  xScale: Scale;
  yScale: Scale;
}

export class LineChart {
  private series: readonly Series[] = [];
  private label = '';

  constructor(
    private readonly container: HTMLElement,
    private readonly options: ChartOptions,
  ) {
    new ResizeObserver(() => this.draw()).observe(container);
  }

  /** @param label what the chart shows, in a sentence for who does not see it. */
  update(series: readonly Series[], label: string): void {
    this.series = series.filter(({ points }) => points.length > 0);
    this.label = label;
    this.draw();
  }

  private draw(): void {
    const width = Math.max(220, Math.floor(this.container.clientWidth));
    const empty = this.series.length === 0;
    const content = empty ? [this.emptyText(width)] : this.content(this.places(width));
    const label = empty ? this.options.emptyWords : this.label;
    const attributes = { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': label };
    this.container.replaceChildren(svg('svg', attributes, ...content));
  }

  private emptyText(width: number): SVGElement {
    const place = { x: width / 2, y: HEIGHT / 2, 'text-anchor': 'middle', class: 'empty' };
    return svg('text', place, this.options.emptyWords);
  }

  private places(width: number): Places {
    const all = this.series.flatMap(({ points }) => points);
    const xScale = this.options.xScale(all.map(([x]) => x));
    const yScale = this.options.yScale(all.map(([, y]) => y));
    const [right, bottom] = [width - MARGIN.right, HEIGHT - MARGIN.bottom];
    return {
      ...{ width, xScale, yScale },
      x: (value) => MARGIN.left + xScale.at(value) * (right - MARGIN.left),
      y: (value) => bottom - yScale.at(value) * (bottom - MARGIN.top),
    };
  }

  private content(places: Places): SVGElement[] {
    return [
      ...this.axes(places),
      ...this.series.map((series) => this.line(series, places)),
      ...this.legend(places.width),
    ];
  }

  private axes({ width, x, y, xScale, yScale }: Places): SVGElement[] {
    const { xWords, yWords, xName } = this.options;
    const bottom = HEIGHT - MARGIN.bottom;
    const every = Math.ceil((xScale.ticks.length * TICK_WIDTH) / (width - MARGIN.left));
    const rows = yScale.ticks.flatMap((tick) => [
      svg('line', {
        class: 'grid',
        x1: MARGIN.left,
        x2: width - MARGIN.right,
        y1: y(tick),
        y2: y(tick),
      }),
      svg('text', { x: MARGIN.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, yWords(tick)),
    ]);
    const columns = xScale.ticks
      .filter((_, index) => index % every === 0)
      .map((tick) =>
        svg('text', { x: x(tick), y: bottom + 18, 'text-anchor': 'middle' }, xWords(tick)),
      );
    const line = {
      class: 'axis',
      x1: MARGIN.left,
      x2: width - MARGIN.right,
      y1: bottom,
      y2: bottom,
    };
    const name = { x: width - MARGIN.right, y: HEIGHT - 6, 'text-anchor': 'end' };
    return [...rows, svg('line', line), ...columns, svg('text', name, xName())];
  }

  private line({ kind, mark, points, hasEnd }: Series, { x, y }: Places): SVGElement {
    const places = points.map(([px, py]) => [x(px), y(py)] as const);
    const path = places.map(
      ([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`,
    );
    const dash = mark === 'circle' ? '' : ' dashed';
    const group = svg('g', { class: kind });
    group.append(svg('path', { class: `line${mark === 'none' ? '' : dash}`, d: path.join('') }));
    if (mark !== 'none') group.append(...places.map(([px, py]) => markAt(mark, px, py)));
    const last = places.at(-1)!;
    if (hasEnd === true) group.append(cross(...last));
    return group;
  }

  /** Each series' line, mark and name, side by side above the chart; where it is narrow, one below the other. */
  private legend(width: number): SVGElement[] {
    const { line, gap, letter, row } = LEGEND;
    let { y } = LEGEND;
    let x = MARGIN.left;
    return this.series.map(({ kind, name, mark }) => {
      const room = line + gap + letter * name.length;
      if (x > MARGIN.left && x + room > width) [x, y] = [MARGIN.left, y + row];
      const start = x;
      x += room + gap / 2;
      const dash = mark === 'square' ? ' dashed' : '';
      const path = svg('path', { class: `line${dash}`, d: `M${start} ${y}h${line}` });
      const text = svg('text', { class: 'name', x: start + line + 7, y: y + 4.5 }, name);
      const middle = mark === 'none' ? [] : [markAt(mark, start + line / 2, y)];
      return svg('g', { class: kind }, path, ...middle, text);
    });
  }
}

function markAt(mark: 'circle' | 'square', x: number, y: number): SVGElement {
  if (mark === 'circle') return svg('circle', { class: 'mark', cx: x, cy: y, r: MARK });
  return svg('rect', {
    class: 'mark',
    x: x - MARK,
    y: y - MARK,
    width: 2 * MARK,
    height: 2 * MARK,
  });
}

function cross(x: number, y: number): SVGElement {
  const arm = 1.8 * MARK;
  const d = `M${x - arm} ${y - arm}l${2 * arm} ${2 * arm}m0 ${-2 * arm}l${-2 * arm} ${2 * arm}`;
  return svg('path', { class: 'end', d });
}
