// SPDX-License-Identifier: Apache-2.0
/** The third part of the page: a model learns, stops, writes, is saved, and is the same after the page was closed. */
import { expect } from 'chai';

import { findChromium } from '../../scripts/setup/chromium.mjs';
import { skip } from '../support/report.js';
import { numberIn } from './numbers.js';
import { STARTED, appUrl, openApp } from './open_app.js';
import type { Page } from './page.js';

const TEXT = `${'round and round the garden\nlike a teddy bear\n'.repeat(20)}`;

/** The least steps that show whether something is learned. */
const STEPS = 8;

const steps = (page: Page) =>
  page.text('#writer-step').then((text) => numberIn(text.split('/')[0]!));

/** Learns until so many steps are done, and stops. @returns the state */
async function learnUntil(page: Page, count: number): Promise<string> {
  await page.click('#writer-start');
  const done = `Number(document.querySelector('#writer-step').textContent.split('/')[0]) >= ${count}`;
  await page.until(`${count} steps`, done, 120);
  await page.click('#writer-stop');
  return page.untilText('#writer-state', /^(Stopped after|All) [\d,]+ steps/, 60);
}

/** What it writes after a prompt when it always takes the likeliest character. */
async function write(page: Page, prompt: string): Promise<string> {
  await page.fill('#writer-prompt', prompt);
  await page.evaluate(`(() => {
    const daring = document.querySelector('#writer-temperature');
    daring.value = '0';
    daring.dispatchEvent(new Event('input'));
  })()`);
  await page.click('#writer-write');
  await page.untilText('#writer-state', /^Written/, 120);
  return page.text('.passage p');
}

describe('the browser app: a transformer that learns', function () {
  this.timeout(240_000);
  let page: Page;
  let stepsDone = 0;
  let written = '';

  before(async function () {
    if (findChromium() === undefined) skip(this, 'no Chromium');
    page = await openApp();
  });
  after(() => page?.close());

  it('says beside the control what is wrong', async () => {
    await page.fill('#writer-text', 'too short');
    await page.click('#writer-start');
    expect(await page.untilText('#writer-text-error', /./)).to.match(
      /has 9 characters; this model needs 330 at least/,
    );
    expect(await page.evaluate('document.activeElement.id')).to.equal('writer-text');
    expect(await page.evaluate('document.activeElement.getAttribute("aria-invalid")')).to.equal(
      'true',
    );
    await page.fill('#writer-text', TEXT);
    await page.fill('#writer-steps', 'many');
    await page.click('#writer-start');
    expect(await page.untilText('#writer-steps-error', /./)).to.match(/whole number.*“many”/);
    expect(await page.text('#writer-text-error')).to.equal('');
    await page.click('#writer-load');
    expect(await page.untilText('#writer-store-state', /Nothing/)).to.match(/Nothing is saved/);
    expect(await page.text('#writer-step')).to.equal('–');
  });

  it('learns: the loss falls, and stops when asked to', async () => {
    await page.fill('#writer-steps', '60');
    const state = await learnUntil(page, STEPS);
    stepsDone = await steps(page);
    expect(stepsDone).to.be.within(STEPS, 59);
    const [, ...rows] = await page.table('#loss-table');
    const heldOut = rows.map((row) => numberIn(row[2]!));
    // At first no better than chance: some 17 characters.
    expect(heldOut[0]).to.be.within(2, 4);
    expect(heldOut.at(-1)).to.be.below(heldOut[0]! - 0.2);
    expect(state).to.include(rows.at(-1)![2]);
    expect(numberIn(await page.text('#writer-speed'))).to.be.above(1);
    // It stays where it is.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await steps(page)).to.equal(stepsDone);
    const line = await page.evaluate<string>(
      `document.querySelector('#loss-chart .fused path').getAttribute('d')`,
    );
    expect(line.split('L').length).to.equal(stepsDone);
  });

  it('does not write after what it has never seen', async () => {
    // While it learned it may have written some.
    const passages = () => page.evaluate(`document.querySelectorAll('.passage').length`);
    const before = await passages();
    await page.fill('#writer-prompt', 'the ☃');
    await page.click('#writer-write');
    expect(await page.untilText('#writer-prompt-error', /./)).to.match(/no “☃”/);
    expect(await passages()).to.equal(before);
  });

  it('writes, and saves', async () => {
    written = await write(page, 'round ');
    expect(written).to.match(/^round .{40}/s);
    for (const character of written) expect(TEXT).to.include(character);
    await page.click('#writer-save');
    expect(await page.untilText('#writer-store-state', /Saved/)).to.include(`${stepsDone} steps`);
  });

  it('is accessible and fits with all of it on the page', async () => {
    await page.expectSound('dark', 1280);
    await page.expectSound('light', 320);
  });

  it('after the page was closed, what is loaded writes the same and learns on', async () => {
    await page.goto(await appUrl());
    await page.until('the page has started', STARTED);
    await page.click('#writer-load');
    expect(await page.untilText('#writer-store-state', /Loaded/, 60)).to.include(
      `${stepsDone} of 60`,
    );
    expect(await page.text('#writer-text')).to.equal(TEXT);
    expect(await steps(page)).to.equal(stepsDone);
    expect(await write(page, 'round ')).to.equal(written);
    await learnUntil(page, stepsDone + 2);
    const [, ...rows] = await page.table('#loss-table');
    const heldOut = rows.map((row) => numberIn(row[2]!));
    expect(heldOut.at(-1)).to.be.below(heldOut[0]! - 0.2);
  });

  it('says when the storage is full, and goes on', async () => {
    await page.evaluate(`(() => {
      globalThis.put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = () => {
        throw new DOMException('for a test', 'QuotaExceededError');
      };
    })()`);
    await page.click('#writer-save');
    expect(await page.untilText('#writer-store-state', /full|failed/, 60)).to.match(
      /is full\. Free/,
    );
    await page.evaluate('IDBObjectStore.prototype.put = globalThis.put, 0');
    await page.click('#writer-forget');
    await page.untilText('#writer-store-state', /^Deleted/);
    await page.click('#writer-load');
    await page.untilText('#writer-store-state', /Nothing is saved/);
  });

  it('wrote no error into the console', () => expect(page.errors).to.deep.equal([]));
});
