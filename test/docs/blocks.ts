// SPDX-License-Identifier: Apache-2.0
/** Blocks of code in the pages, also those that belong to an item of a list, and what some of them need. */
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { findSwiftShader } from '../../scripts/setup/chromium.mjs';
import { pages, root } from './examples.js';

export interface Block {
  /** The page and the line of its first line: "docs/masks.md:12". */
  at: string;
  /** Without the indentation of the whole. */
  code: string;
}

export function blocksOf(page: string, text: string, language: string): Block[] {
  const pattern = new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^\\1\`\`\`$`, 'gm');
  return [...text.matchAll(pattern)].map(({ 1: indent, 2: code, index }) => ({
    at: `${page}:${text.slice(0, index).split('\n').length + 1}`,
    code: code!.replaceAll(new RegExp(`^${indent!}`, 'gm'), ''),
  }));
}

/** Those of README and docs, and of `more` pages. */
export async function allBlocks(language: string, more: readonly string[] = []): Promise<Block[]> {
  const each = [...(await pages()), ...more].map(async (page) =>
    blocksOf(page, await readFile(new URL(page, root), 'utf8'), language),
  );
  return (await Promise.all(each)).flat();
}

/** The environment in which the npm package 'webgpu' finds the software adapter; undefined where there is none. */
export async function softwareDriver(): Promise<NodeJS.ProcessEnv | undefined> {
  const driver = await findSwiftShader();
  if (driver === undefined) return undefined;
  return { VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: path.dirname(await realpath(driver)) };
}
