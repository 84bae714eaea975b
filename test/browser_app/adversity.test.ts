// SPDX-License-Identifier: Apache-2.0
/** What the page does where something is missing, runs out, or breaks. */
import { expect } from 'chai';

import { findChromium } from '../../scripts/setup/chromium.mjs';
import { skip } from '../support/report.js';
import { openApp } from './open_app.js';
import type { Page } from './page.js';

/** A browser without WebGPU. */
const NO_WEBGPU = 'delete Navigator.prototype.gpu;';

/** A device that has no memory for a buffer beyond some bytes: a table of 8 heads × 64 × 64 scores. */
const LITTLE_MEMORY = `
const { createBuffer } = GPUDevice.prototype;
GPUDevice.prototype.createBuffer = function (descriptor) {
  if (descriptor.size >= 8 * 64 * 64 * 4) throw new RangeError('no memory for a test');
  return createBuffer.call(this, descriptor);
};`;

/** Keeps the page's device for the test. */
const KEEP_DEVICE = `
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...args) {
  return (globalThis.testDevice = await requestDevice.apply(this, args));
};`;

async function measureForward(page: Page, op: string): Promise<string> {
  await page.choose('#measure-op', op);
  await page.choose('#measure-pass', 'forward');
  await page.click('#measure-start');
  return page.untilText('#measure-state', /^Done/, 120);
}

describe('the browser app in adversity', function () {
  this.timeout(180_000);
  let page: Page | undefined;

  before(function () {
    if (findChromium() === undefined) skip(this, 'no Chromium');
  });
  afterEach(async () => {
    await page?.close();
    page = undefined;
  });

  it('without WebGPU computes with WebGL, and says so', async () => {
    page = await openApp('?seconds=0.02', NO_WEBGPU);
    expect(await page.text('#device-state')).to.match(
      /^WebGPU does not work: this browser has none;.*tfjs computes with WebGL/,
    );
    expect(await page.text('#device-kernels')).to.match(/no fused kernels here/);
    await measureForward(page, 'norm');
    const [, first] = await page.table('#measure-table');
    expect(first![0]).to.match(/^\d+$/);
    for (const error of first!.slice(5)) expect(Number(error)).to.be.within(1e-9, 1e-4);
    expect(await page.text('#measure-conditions')).to.match(/textures/);
  });

  it('computes in JavaScript when asked to', async () => {
    page = await openApp('?backend=cpu&seconds=0.02');
    expect(await page.text('#device-state')).to.match(/^tfjs computes with the processor/);
    await measureForward(page, 'attention');
    const [, first] = await page.table('#measure-table');
    for (const error of first!.slice(5)) expect(Number(error)).to.be.within(1e-9, 1e-5);
  });

  it('where memory runs out plain tfjs ends, and the page goes on', async () => {
    page = await openApp('?seconds=0.02', LITTLE_MEMORY);
    await measureForward(page, 'attention');
    expect(await page.text('#measure-ends .plain')).to.match(
      /^plain tfjs measured nothing: at 64 tokens it failed: no memory for a test/,
    );
    expect(await page.text('#measure-ends .fused')).to.match(/reached (64|128) tokens/);
  });

  it('says that the device is lost, and gets another', async () => {
    page = await openApp('?seconds=0.02', KEEP_DEVICE);
    await page.evaluate('globalThis.testDevice.destroy()');
    expect(await page.untilText('#notices', /./)).to.match(/graphics device is lost \(destroyed/);
    expect(await page.text('#writer-state')).to.match(/went with the graphics device/);
    await page.click('#notices button');
    await page.until('the notice is gone', `document.querySelector('#notices').textContent === ''`);
    await measureForward(page, 'norm');
    const [, first] = await page.table('#measure-table');
    for (const error of first!.slice(5)) expect(Number(error)).to.be.within(1e-9, 2e-5);
  });

  for (const [title, stop] of [
    ['a model that learns', false],
    ['one that has stopped', true],
  ] as const) {
    it(`with the device ${title} goes, all of its tensors`, async () => {
      page = await openApp('', KEEP_DEVICE);
      const tensors = () => page!.evaluate<number>('globalThis._tfengine.state.numTensors');
      const before = await tensors();
      await page.fill('#writer-text', 'round and round the garden, like a teddy bear '.repeat(20));
      await page.click('#writer-start');
      const learning = `Number(document.querySelector('#writer-step').textContent.split('/')[0]) > 0`;
      await page.until('a step', learning);
      if (stop) {
        await page.click('#writer-stop');
        await page.untilText('#writer-state', /^Stopped after/);
      }
      expect(await tensors()).to.be.above(before);
      await page.evaluate('globalThis.testDevice.destroy()');
      await page.untilText('#notices', /graphics device is lost/);
      await page.until('nothing is left', `globalThis._tfengine.state.numTensors === ${before}`);
      expect(await page.text('#writer-state')).to.match(/went with the graphics device/);
    });
  }
});
