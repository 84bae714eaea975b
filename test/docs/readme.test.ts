// SPDX-License-Identifier: Apache-2.0
/** README and docs say what is so: pictures of masks are true, tables are in step, links lead somewhere. */
import { access, readFile, readdir } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect } from 'chai';
import { matrixMarkdown, withMatrix } from '../../scripts/readme_matrix.js';
import { attnBias } from '../../src/index.js';

const root = new URL('../../', import.meta.url);
const read = (file: string): Promise<string> => readFile(new URL(file, root), 'utf8');

/** The fenced blocks of a language, in order. */
function blocks(text: string, ...languages: string[]): string[] {
  const fences = text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  return [...fences].filter(([, name]) => languages.includes(name!)).map(([, , code]) => code!);
}

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
  type MakeMask = (masks: typeof attnBias) => attnBias.AttentionBias;

  async function evaluate(expression: string): Promise<attnBias.AttentionBias> {
    const code = encodeURIComponent(`export default (attnBias) => ${expression}`);
    const module = (await import(`data:text/javascript,${code}`)) as { default: MakeMask };
    return module.default(attnBias);
  }

  /** The picture under each expression. */
  function pictures(text: string): [expression: string, rows: string[]][] {
    return blocks(text, 'text')
      .flatMap((block) => block.trim().split('\n\n'))
      .map((picture) => picture.split('\n'))
      .filter(([expression]) => expression!.includes('attnBias.'))
      .map(([expression, ...rows]) => [expression!, rows]);
  }

  async function draw(expression: string, queries: number, keys: number): Promise<string[]> {
    await tf.setBackend('cpu');
    const mask = (await evaluate(expression)).materialize([queries, keys]);
    const values = (await mask.array()) as number[][];
    mask.dispose();
    return values.map((row) => row.map((value) => (value === 0 ? '1' : '0')).join(' '));
  }

  for (const file of ['README.md', 'docs/masks.md']) {
    it(`in ${file} are true`, async () => {
      const drawn = pictures(await read(file));
      expect(drawn.length).to.be.at.least(4);
      for (const [expression, rows] of drawn) {
        const keys = rows[0]!.split(' ').length;
        expect(await draw(expression, rows.length, keys), expression).to.deep.equal(rows);
      }
    });
  }

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
