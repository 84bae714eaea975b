// SPDX-License-Identifier: Apache-2.0
/**
 * Draws the pictures of masks in README.md and docs/masks.md, from what the masks materialize to.
 *
 *     node --import tsx scripts/mask_pictures.ts
 *
 * A picture is an expression that makes a mask, and under it a row of 0 and 1 for each query, in a block of `text`. A new
 * one is written as the expression and, in place of the rows, its numbers of queries and keys: `[3, 5]`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

import { attnBias } from '../src/index.js';

const PAGES = ['README.md', 'docs/masks.md'];
const root = new URL('../', import.meta.url);

type MakeMask = (masks: typeof attnBias) => attnBias.AttentionBias;

/** An expression on a line, and its rows, or their numbers, on those that follow. */
const PICTURE = /^((?:new )?attnBias\..*)\n((?:[01](?: [01])*\n)+|\[\d+, \d+\]\n)/gm;

async function maskOf(expression: string): Promise<attnBias.AttentionBias> {
  const code = encodeURIComponent(`export default (attnBias) => ${expression}`);
  const module = (await import(`data:text/javascript,${code}`)) as { default: MakeMask };
  return module.default(attnBias);
}

async function draw(expression: string, queries: number, keys: number): Promise<string> {
  const mask = (await maskOf(expression)).materialize([queries, keys]);
  const values = (await mask.array()) as number[][];
  mask.dispose();
  return values.map((row) => `${row.map((value) => (value === 0 ? 1 : 0)).join(' ')}\n`).join('');
}

function sizeOf(rows: string): [queries: number, keys: number] {
  if (rows.startsWith('[')) return JSON.parse(rows) as [number, number];
  const lines = rows.trimEnd().split('\n');
  return [lines.length, lines[0]!.split(' ').length];
}

/** The expressions of a page. */
export function pictured(text: string): string[] {
  return [...text.matchAll(PICTURE)].map(([, expression]) => expression!);
}

/** A page with its pictures drawn anew. */
export async function withPictures(text: string): Promise<string> {
  await tf.setBackend('cpu');
  let [page, end] = ['', 0];
  for (const match of text.matchAll(PICTURE)) {
    const [all, expression, rows] = match as unknown as [string, string, string];
    page += `${text.slice(end, match.index)}${expression}\n${await draw(expression, ...sizeOf(rows))}`;
    end = match.index + all.length;
  }
  return page + text.slice(end);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const page of PAGES) {
    const file = new URL(page, root);
    await writeFile(file, await withPictures(await readFile(file, 'utf8')));
  }
}
