// SPDX-License-Identifier: Apache-2.0
/**
 * Writes the support matrix into README.md, from src/spec/support.ts.
 *
 *     node --import tsx scripts/readme_matrix.ts [--check]
 *
 * With --check it changes nothing, and its exit code is 1 if README.md is out of step.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { BACKENDS, supportMatrix } from '../src/spec/support.js';
import type { Support, SupportRow } from '../src/spec/support.js';

const BEGIN = '<!-- support matrix: written by scripts/readme_matrix.ts -->';
const END = '<!-- end of the support matrix -->';
const readmeFile = new URL('../README.md', import.meta.url);

/** What the package has fused kernels for; whether they run here is another question. */
const FUSED_BACKENDS = ['webgpu', 'tensorflow'];
const documented = supportMatrix((backend) => FUSED_BACKENDS.includes(backend));
const NOTE =
  '`tensorflow`: with the native library (Linux x64), which `tfjs-xformers/node` loads; without it ○ ○ in every line.';

const mark = (support: Support): string => (support === 'fused' ? '●' : '○');

/** The matrix as a table in Markdown: a line for each op and dtype, a column for each backend. */
export function matrixMarkdown(rows: readonly SupportRow[] = documented): string {
  const lines = new Map<string, string[]>();
  for (const { op, dtype, forward, backward } of rows) {
    const name = `\`${op}\` | ${dtype}`;
    const cells = lines.get(name) ?? [];
    lines.set(name, [...cells, `${mark(forward)} ${mark(backward)}`]);
  }
  return [
    `| op | dtype | ${BACKENDS.join(' | ')} |`,
    `|---|---|${BACKENDS.map(() => '---|').join('')}`,
    ...[...lines].map(([name, cells]) => `| ${name} | ${cells.join(' | ')} |`),
    '',
    NOTE,
  ].join('\n');
}

/** A text with the matrix between its marks brought up to date. */
export function withMatrix(text: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the marks ${BEGIN} and ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n${matrixMarkdown()}\n${text.slice(end)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await readFile(readmeFile, 'utf8');
  const wanted = withMatrix(text);
  if (process.argv.includes('--check')) {
    if (wanted !== text) {
      console.error('README.md: the support matrix is out of step; run scripts/readme_matrix.ts');
      process.exitCode = 1;
    }
  } else {
    await writeFile(readmeFile, wanted);
  }
}
