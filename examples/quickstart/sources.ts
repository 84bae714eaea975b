// SPDX-License-Identifier: Apache-2.0
/** The text to train on: a file, or the sources that npm installed. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url));

const MOST_CHARACTERS = 600_000;
/** So that many packages have their say. */
const MOST_OF_A_PACKAGE = 24_000;
const MOST_OF_A_FILE = 12_000;
const LEAST_OF_A_FILE = 500;
/** Minified code has longer lines. */
const LONGEST_LINE = 160;
const SOURCES = /\.(ts|mts|js|mjs)$/;

export interface Text {
  text: string;
  /** Where it is from, for people. */
  origin: string;
}

const byName = (a: string, b: string) => (a < b ? -1 : 1);

/** Folders of packages, scoped ones too, in the order of their names. */
async function packageFolders(): Promise<string[]> {
  const names = (await readdir(modules)).filter((name) => !name.startsWith('.')).sort(byName);
  const folders = await Promise.all(
    names.map(async (name) => {
      if (!name.startsWith('@')) return [path.join(modules, name)];
      const scoped = (await readdir(path.join(modules, name))).sort(byName);
      return scoped.map((each) => path.join(modules, name, each));
    }),
  );
  return folders.flat();
}

/** Source files in a folder, its subfolders after its own, without packages nested in it. */
async function* sourceFiles(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => byName(a.name, b.name));
  for (const entry of entries) {
    if (entry.isFile() && SOURCES.test(entry.name)) yield path.join(folder, entry.name);
  }
  for (const entry of entries) {
    if (entry.isDirectory() && entry.name !== 'node_modules') {
      yield* sourceFiles(path.join(folder, entry.name));
    }
  }
}

function isWrittenByHand(text: string): boolean {
  return text.length >= LEAST_OF_A_FILE && text.split('\n').every((l) => l.length <= LONGEST_LINE);
}

async function textOfPackage(folder: string): Promise<string> {
  let text = '';
  for await (const file of sourceFiles(folder)) {
    const source = (await readFile(file, 'utf8')).replaceAll('\r\n', '\n');
    if (isWrittenByHand(source)) text += `${source.slice(0, MOST_OF_A_FILE).trimEnd()}\n\n`;
    if (text.length >= MOST_OF_A_PACKAGE) break;
  }
  return text.slice(0, MOST_OF_A_PACKAGE);
}

/** TypeScript and JavaScript from node_modules: the same text wherever the same versions are installed. */
async function installedSources(): Promise<Text> {
  let text = '';
  let packages = 0;
  for (const folder of await packageFolders()) {
    const part = await textOfPackage(folder);
    if (part.length > 0) packages++;
    text += part;
    if (text.length >= MOST_CHARACTERS) break;
  }
  const origin = `TypeScript and JavaScript of ${packages} packages in node_modules`;
  return { text: text.slice(0, MOST_CHARACTERS), origin };
}

/** The text of `file`, or of the installed packages if there is none. */
export async function readText(file: string | undefined): Promise<Text> {
  if (file === undefined) return installedSources();
  return { text: await readFile(file, 'utf8'), origin: file };
}
