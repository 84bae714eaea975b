// SPDX-License-Identifier: Apache-2.0
/** docs/native.md explains the messages that the code has, and all that say why nothing was loaded. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';

const root = new URL('../../', import.meta.url);
const read = (file: string): Promise<string> => readFile(new URL(file, root), 'utf8');

const SOURCES = [
  ...['find_library', 'check_addon', 'load_library', 'backend'].map(
    (n) => `src/tensorflow/${n}.ts`,
  ),
  'src/info.ts',
  ...['tf_library', 'registration'].map((name) => `native/ops/${name}.cc`),
];

/** A text with what is filled in, and what splits a literal over two lines, taken for an ellipsis. */
function withEllipses(code: string): string {
  return code
    .replace(/['"`] \+\n\s*['"`]/g, '')
    .replace(/"\n\s*"/g, '')
    .replace(/\$\{[^{}]*\}|%s|'%s'/g, '…');
}

/** The messages in the first columns of the tables. */
function documented(text: string): string[] {
  const section = text.slice(text.indexOf('## Messages'), text.indexOf('## Numerics'));
  return [...section.matchAll(/^\| (`.*?) \|/gm)]
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)])
    .map(([, message]) => message!);
}

describe('docs/native.md', () => {
  it('quotes messages that the code has', async () => {
    const code = withEllipses((await Promise.all(SOURCES.map(read))).join('\n'));
    const messages = documented(await read('docs/native.md'));
    expect(messages.length).to.be.at.least(20);
    for (const message of messages) {
      for (const part of message.split('…')) expect(code, message).to.include(part.trim());
    }
  });

  it('explains every outcome of a place that was tried', async () => {
    const text = await read('docs/native.md');
    const code = await read('src/tensorflow/find_library.ts');
    const outcomes = [...code.matchAll(/(?:\?|:|missing =) '([a-z][^'@]+ [^']+)'/g)].map(
      ([, o]) => o!,
    );
    expect(outcomes.length).to.be.at.least(5);
    for (const outcome of outcomes) expect(text).to.include(outcome);
  });
});
