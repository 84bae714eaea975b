// SPDX-License-Identifier: Apache-2.0
/** The first two parts of the page on WebGPU: what it tells of the device, and what it measures. */
import { expect } from 'chai';

import { byteWords } from '../../examples/browser/page/words.js';
import { findChromium } from '../../scripts/setup/chromium.mjs';
import { FUSED_OPS } from '../../src/spec/support.js';
import { skip } from '../support/report.js';
import { numberIn } from './numbers.js';
import { openApp } from './open_app.js';
import type { Page } from './page.js';

const HEADS = 8;
/** On a software adapter. */
const [HEAD_DIM, CHANNELS] = [16, 128];

/** What one line of the table says; NaN where a side has no number. */
interface Line {
  length: number;
  time: [fused: number, plain: number];
  bytes: [fused: number, plain: number];
  error: [fused: number, plain: number];
}

/** Measures, and reads the table. */
async function measure(page: Page, op: string, pass: string): Promise<Line[]> {
  await page.choose('#measure-op', op);
  await page.choose('#measure-pass', pass);
  await page.click('#measure-start');
  await page.untilText('#measure-state', /Measuring/);
  await page.untilText('#measure-state', /^Done/, 120);
  const [header, ...rows] = await page.table('#measure-table');
  expect(header!.slice(1).map((title) => title.split(',')[0])).to.deep.equal(
    ['time', 'memory', 'error'].flatMap((title) => [title, title]),
  );
  return rows.map((row) => {
    const [length, t0, t1, b0, b1, e0, e1] = row.map(numberIn) as [number, ...number[]];
    return { length, time: [t0!, t1!], bytes: [b0!, b1!], error: [e0!, e1!] };
  });
}

/** The bytes that each side held, where it was measured. */
const held = (lines: Line[], side: 0 | 1) =>
  lines
    .filter(({ bytes }) => !Number.isNaN(bytes[side]))
    .map((line) => [line.length, line.bytes[side]] as const);

function expectSmallErrors(lines: Line[], bound: number): void {
  const errors = lines.flatMap(({ error }) => error).filter((error) => !Number.isNaN(error));
  expect(errors.length).to.be.at.least(2);
  for (const error of errors) expect(error).to.be.within(1e-9, bound);
}

describe('the browser app: the device and what is measured', function () {
  this.timeout(180_000);
  let page: Page;

  before(async function () {
    if (findChromium() === undefined) skip(this, 'no Chromium');
    // No call longer than this is begun, so on a software adapter lengths stay small.
    page = await openApp('?seconds=0.1');
  });
  after(() => page?.close());

  it('tells the adapter, what it brings, and which kernels are fused', async () => {
    expect(await page.text('#device-state')).to.match(/WebGPU on .*swiftshader.*software adapter/);
    const [header, ...kernels] = await page.table('#device-kernels');
    expect(header).to.deep.equal(['op', 'WebGPU', 'WebGL', 'JavaScript']);
    const fused = kernels.filter((row) => row[1] === '● fused').map(([op]) => op);
    expect(fused).to.deep.equal([...FUSED_OPS]);
    expect(kernels.every((row) => row[2] === '○ tfjs ops')).to.equal(true);
    expect(await page.text('#device-kernels')).to.match(/rotaryEmbedding run as tfjs ops: /);
    const [hasSubgroups, largest] = await page.evaluate<[boolean, number]>(
      'navigator.gpu.requestAdapter().then(({ features, limits }) => [features.has("subgroups"), Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize)])',
    );
    const features = new Map(
      (await page.table('#device-features')).map(([name, has]) => [name, has]),
    );
    expect(features.get('subgroups')).to.equal(hasSubgroups ? 'yes' : 'no');
    expect(features.get('largest buffer')).to.equal(byteWords(largest));
  });

  it('attention: the memory shown is that of q, k, v, output and logSumExp, and no more', async () => {
    const lines = await measure(page, 'attention', 'forward');
    expectSmallErrors(lines, 2e-5);
    for (const [length, bytes] of held(lines, 0)) {
      const exact = 4 * length * HEADS * (4 * HEAD_DIM + 1);
      expect(bytes, `${length}`).to.be.within(0.98 * exact, 1.02 * exact);
    }
    for (const [length, bytes] of held(lines, 1)) {
      // The scores, and what softmax makes of them, at least.
      expect(bytes, `${length}`).to.be.above(2 * 4 * HEADS * length ** 2);
    }
    expect(held(lines, 0).at(-1)![0]).to.be.above(held(lines, 1).at(-1)![0]);
  });

  it('the charts have the names of both sides in whole, 320 pixels wide too', async () => {
    for (const width of [320, 1280]) {
      await page.emulate('light', width);
      // Charts are drawn anew in the frame after.
      const cut = await page.evaluate<[names: number, cut: string[]]>(
        `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
          const names = [...document.querySelectorAll('#measure .chart .name')];
          const right = (element) => element.getBoundingClientRect().right;
          const cut = names.filter((name) => right(name) > right(name.closest('.chart')));
          done([names.length, cut.map((name) => name.textContent)]);
        })))`,
      );
      expect(cut, `${width}px`).to.deep.equal([4, []]);
    }
  });

  it('says in words where plain tfjs ends, and by how much the other is better', async () => {
    const ends = await page.evaluate<string[]>(
      `[...document.querySelectorAll('#measure-ends li')].map((line) => line.textContent)`,
    );
    expect(ends).to.have.length(2);
    expect(ends.find((line) => line.startsWith('plain tfjs'))).to.match(
      /^plain tfjs reached [\d,]+ tokens: at [\d,]+ tokens a call would take about .* this page waits\.$/,
    );
    expect(await page.text('#measure-state')).to.match(
      /At \d+ tokens tfjs-xformers is [\d.]+ times as \w+ as plain tfjs, with [\d.]+ times less memory/,
    );
    const label = await page.evaluate<string>(
      `document.querySelector('#memory-chart svg').getAttribute('aria-label')`,
    );
    expect(label).to.match(/plain tfjs from .* at 64 tokens to/);
  });

  it('a norm and all its gradients', async () => {
    const lines = await measure(page, 'norm', 'gradients');
    expectSmallErrors(lines, 2e-5);
    const [[shorter, some], [longer, more]] = held(lines, 0).slice(-2) as [
      [number, number],
      [number, number],
    ];
    expect(more / some).to.be.closeTo(longer / shorter, 0.05);
    // Input, output and their gradients.
    expect(more).to.be.above(4 * 4 * longer * CHANNELS);
    expect(held(lines, 1)[0]![1]).to.be.above(held(lines, 0)[0]![1]);
  });

  it('stops when asked to, by keyboard', async () => {
    await page.evaluate(`document.querySelector('#measure-start').focus()`);
    await page.press('Enter');
    await page.untilText('#measure-state', /Measuring/);
    // The focus is on what can be done next.
    expect(await page.evaluate('document.activeElement.id')).to.equal('measure-stop');
    await page.press('Enter');
    await page.untilText('#measure-state', /^Stopped/);
    expect(await page.evaluate('document.activeElement.id')).to.equal('measure-start');
  });

  for (const [scheme, width] of [
    ['light', 1280],
    ['dark', 320],
  ] as const) {
    it(`is accessible and fits: ${scheme}, ${width} pixels wide`, () =>
      page.expectSound(scheme, width));
  }

  it('wrote no error into the console', () => expect(page.errors).to.deep.equal([]));
});
