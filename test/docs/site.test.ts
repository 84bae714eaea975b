// SPDX-License-Identifier: Apache-2.0
/** The site is built without a warning, and none of its links leads nowhere. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { pages } from './examples.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('npm run docs', function () {
  this.timeout(240_000);

  let site: string;
  let files: string[];
  const read = (file: string) => readFile(path.join(site, file), 'utf8');

  before(async () => {
    site = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-site-'));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['scripts/docs.mjs', '--to', site],
      { cwd: root, encoding: 'utf8' },
    );
    expect(status, `${stdout}\n${stderr}`).to.equal(0);
    files = (await readdir(site, { recursive: true })).filter((file) => file.endsWith('.html'));
  });
  after(() => rm(site, { recursive: true, force: true }));

  it('has the README, a page for every guide, and the entry points', async () => {
    expect(await read('index.html')).to.include('Exact attention in linear memory');
    const all = (await Promise.all(files.map(read))).join('\n');
    for (const page of (await pages()).filter((name) => name.startsWith('docs/'))) {
      const [, title] = /^# (.*)$/m.exec(await readFile(path.join(root, page), 'utf8'))!;
      expect(all, page).to.match(new RegExp(`<h1[^>]*>${title!.replaceAll('&', '&amp;')}<`));
    }
    expect(files).to.include.members([
      'modules/index.html',
      'modules/node.html',
      'modules/layers.html',
    ]);
  });

  it('has no link to a file that is not there, and loads nothing from elsewhere', async () => {
    let links = 0;
    for (const file of files) {
      const text = await read(file);
      for (const [, tag, link] of text.matchAll(/<(\w+)[^>]*? (?:href|src)="([^"#?]+)[^"]*"/g)) {
        if (/^\w+:/.test(link!)) {
          expect(tag, `${file} loads ${link}`).to.equal('a');
          continue;
        }
        links++;
        const target = path.join(site, path.dirname(file), decodeURIComponent(link!));
        expect(existsSync(target), `${file} links to ${link}`).to.equal(true);
      }
    }
    expect(links).to.be.at.least(1000);
  });
});
