// SPDX-License-Identifier: Apache-2.0
/** examples/script-tag with the packed package: what it shows on WebGPU, and where there is none. */
import path from 'node:path';

import { expect } from 'chai';

import { findChromium } from '../../scripts/setup/chromium.mjs';
import { Chromium } from '../browser_app/chromium.js';
import { Page } from '../browser_app/page.js';
import { serve } from '../browser_app/serve.js';
import type { Served } from '../browser_app/serve.js';
import { skip } from '../support/report.js';
import { UserFolder, root } from './user_folder.js';

describe('the example with script tags', function () {
  this.timeout(240_000);
  let user: UserFolder;
  let served: Served;
  let chromium: Chromium;

  before(async function () {
    if (findChromium() === undefined) skip(this, 'no Chromium');
    user = await UserFolder.make([]);
    served = await serve({
      'examples/': path.join(root, 'examples'),
      'node_modules/': path.join(root, 'node_modules'),
      'dist/': user.installed('tfjs-xformers/dist'),
    });
    chromium = await Chromium.start();
  });
  after(async () => {
    await chromium?.close();
    served?.close();
    await user?.remove();
  });

  /** @param before a script that runs before those of the page */
  async function open(before = ''): Promise<Page> {
    const page = await Page.open(chromium, before);
    await page.goto(`${served.url}examples/script-tag/`);
    await page.untilText('#state', /^(Computed|That)/, 120);
    return page;
  }

  async function expectResults(page: Page, state: RegExp): Promise<void> {
    expect(await page.text('#state')).to.match(state);
    const [, ...rows] = await page.table('table');
    expect(rows.map(([name]) => name)).to.deep.equal([
      'causal attention over 128 tokens',
      'layer norm of 512 rows',
    ]);
    for (const [, ours, plain, difference] of rows) {
      for (const time of [ours, plain]) expect(time).to.match(/^\d+\.\d ms$/);
      expect(Number(difference)).to.be.within(0, 1e-4);
    }
    expect(page.errors).to.deep.equal([]);
  }

  it('computes on WebGPU by fused kernels, is accessible, and fits', async () => {
    const page = await open();
    await expectResults(page, /^Computed on webgpu, by fused kernels\.$/);
    expect(await page.text('#why')).to.equal('');
    await page.expectSound('light', 1280);
    await page.expectSound('dark', 320);
    await page.close();
  });

  it('computes on WebGL where there is no WebGPU, and says why', async () => {
    const page = await open('delete Navigator.prototype.gpu;');
    await expectResults(page, /^Computed on webgl, by tfjs’ own ops, in chunks\.$/);
    expect(await page.text('#why')).to.match(/^Not WebGPU: .*navigator\.gpu is missing/);
    await page.close();
  });
});
