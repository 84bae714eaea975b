// SPDX-License-Identifier: Apache-2.0
/** What a table has to say about the machine and the command it comes from. */
import path from 'node:path';
import { availableParallelism, loadavg } from 'node:os';
import { cpuName } from '../native/machine.js';

/** Of the last quarter of an hour, this benchmark's own included; Windows does not tell. */
function load(): string {
  const average = loadavg()[2]!;
  return average > 0 ? `${average.toFixed(1)} processes` : 'unknown';
}

/** Lines of a heading: what, value. */
export function environment(where: 'node' | 'chromium'): Record<string, string> {
  return {
    date: new Date().toISOString().slice(0, 10),
    where: where === 'node' ? 'Node, through Dawn' : 'Chromium',
    system: `${process.platform} ${process.arch}`,
    CPU: `${cpuName()}, ${availableParallelism()} cores`,
    load: load(),
    Node: process.versions.node,
  };
}

/** The command of a run, without where things lie on this machine. */
export function commandOf(program: string, args: readonly string[]): string {
  const given = args.map((text) => {
    if (path.isAbsolute(text)) return '<path>';
    return /[^\w@/.=-]/.test(text) ? `"${text}"` : text;
  });
  const separator = program.startsWith('npm') && given.length > 0 ? ['--'] : [];
  return [program, ...separator, ...given].join(' ');
}

/** As prettier would have it, where there is prettier: a bundle goes without. */
export async function formatMarkdown(text: string): Promise<string> {
  try {
    const { format } = await import('prettier');
    return await format(text, { parser: 'markdown' });
  } catch {
    return text;
  }
}
