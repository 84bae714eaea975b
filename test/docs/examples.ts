// SPDX-License-Identifier: Apache-2.0
/**
 * The examples of README and docs: every block of `js` and `ts`, as programs of their own.
 *
 * A block that imports nothing goes on from what the page says that there is: tfjs as `tf`, this
 * package's exports, and q, k, v of shape [1, 8, 2, 4]. What else it takes for granted stands before
 * it in a comment that readers do not see: <!-- given: code --> . Where it runs follows from what it
 * imports; <!-- runs in: a page --> says that it needs a browser (html.test.ts). All are checked as TypeScript, but for those
 * after <!-- only JavaScript: why --> .
 */
import { readFile, readdir } from 'node:fs/promises';
import * as entry from '../../src/index.js';

/**
 * Where an example can run: on tfjs' `cpu` backend, with WebGPU, with tfjs-node, in a process of its own that brings WebGPU
 * itself, or in a browser.
 */
export type Place = 'cpu' | 'webgpu' | 'tensorflow' | 'dawn' | 'page';

export interface Example {
  /** The page and the line of its first line: "docs/masks.md:12". */
  at: string;
  place: Place;
  /** A whole module. */
  code: string;
}

export const root = new URL('../../', import.meta.url);
/** The folder of the modules; imports are relative to it. */
export const scratch = new URL('.cache/examples/', root);
const SOURCES = '../../src';

const PRELUDE = `import * as tf from '@tensorflow/tfjs';
import { ${Object.keys(entry).join(', ')} } from 'tfjs-xformers';
await tf.setBackend('cpu');
const [q, k, v] = [1, 2, 3].map((seed) =>
  tf.randomNormal([1, 8, 2, 4], 0, 1, 'float32', seed),
) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
`;

/** A block, with the comments right before it. */
const BLOCK = /((?:^<!--(?:(?!-->)[\s\S])*?-->\n+)*)^```(js|ts)\n([\s\S]*?)^```$/gm;

function placeOf(code: string, comments: string): Place {
  if (comments.includes('<!-- runs in: a page')) return 'page';
  if (code.includes("from 'webgpu'")) return 'dawn';
  if (code.includes('tfjs-backend-webgpu')) return 'webgpu';
  return /tfjs-node|tfjs-xformers\/node/.test(code) ? 'tensorflow' : 'cpu';
}

/** A block as a module that imports this checkout's sources. */
function moduleOf(code: string, comments: string): string {
  const given = [...comments.matchAll(/<!-- given: ([\s\S]*?)-->/g)].map(([, each]) => each!);
  const whole = /^import /m.test(code) ? `${code}\n` : `${PRELUDE}${given.join('\n')}\n${code}`;
  const head = comments.includes('<!-- only JavaScript: ') ? '// @ts-nocheck\n' : '';
  return `${head}${whole}\nexport {};\n`
    .replaceAll(/'@tensorflow\/tfjs-node'/g, "'@tensorflow/tfjs-node-gpu'")
    .replaceAll(/'tfjs-xformers\/node'/g, `'${SOURCES}/node.js'`)
    .replaceAll(/'tfjs-xformers'/g, `'${SOURCES}/index.js'`);
}

/** The examples of a page. */
export function examplesOf(page: string, text: string): Example[] {
  return [...text.matchAll(BLOCK)].map((match) => {
    const [all, comments, , code] = match as unknown as [string, string, string, string];
    const start = match.index + all.indexOf('```', comments.length);
    const line = text.slice(0, start).split('\n').length + 1;
    return {
      at: `${page}:${line}`,
      place: placeOf(code, comments),
      code: moduleOf(code, comments),
    };
  });
}

/** The pages with examples, relative to the root. */
export async function pages(): Promise<string[]> {
  const files = await readdir(new URL('docs/', root), { recursive: true });
  const docs = files.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  return ['README.md', ...docs.sort()];
}

/** All of them. */
export async function allExamples(): Promise<Example[]> {
  const each = (await pages()).map(async (page) =>
    examplesOf(page, await readFile(new URL(page, root), 'utf8')),
  );
  return (await Promise.all(each)).flat();
}
