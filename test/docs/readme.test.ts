// SPDX-License-Identifier: Apache-2.0
/** README and docs say what is so: pictures of masks are true, tables are in step, links lead somewhere. */
import { access, readFile, readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { pictured, withPictures } from '../../scripts/mask_pictures.js';
import { matrixMarkdown, withMatrix } from '../../scripts/readme_matrix.js';
import { attnBias } from '../../src/index.js';

const root = new URL('../../', import.meta.url);
const read = (file: string): Promise<string> => readFile(new URL(file, root), 'utf8');

const readme = await read('README.md');

describe('README', () => {
  it('has the support matrix of src/spec/support.ts', () => {
    expect(withMatrix(readme)).to.equal(readme);
    expect(readme).to.include(matrixMarkdown());
  });

  it('stays within 250 lines', () => {
    expect(readme.split('\n').length).to.be.at.most(251);
  });

  it('names only files that exist', async () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, file]) => file!);
    expect(links).to.not.be.empty;
    for (const file of links) await access(new URL(file, root));
  });
});

describe('pictures of masks', () => {
  for (const [file, count] of [
    ['README.md', 4],
    ['docs/masks.md', 17],
  ] as const) {
    it(`in ${file} are true`, async () => {
      const text = await read(file);
      expect(pictured(text).length).to.be.at.least(count);
      expect(await withPictures(text), 'scripts/mask_pictures.ts draws them').to.equal(text);
    });
  }

  it('that are not true are noticed', async () => {
    const text = 'new attnBias.LowerTriangularMask()\n1 1\n1 1\n';
    expect(await withPictures(text)).to.equal(text.replace('1 1', '1 0'));
  });

  it('docs/masks.md names every class', async () => {
    const text = await read('docs/masks.md');
    for (const name of Object.keys(attnBias)) {
      if (name === 'AttentionBias') continue;
      const made = /^BlockDiagonalCausal(Local\w+|FromBottomRight|)Mask$/.test(name);
      if (!made) expect(text, name).to.include(name);
    }
  });
});

describe('docs', () => {
  it('hold no link to a file that is not there', async () => {
    const files = await readdir(new URL('docs/', root));
    for (const file of files.filter((name) => name.endsWith('.md'))) {
      const text = await read(`docs/${file}`);
      for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
        await access(new URL(`docs/${link}`, root));
      }
    }
  });
});
