// SPDX-License-Identifier: Apache-2.0
/**
 * Programs that run in a process of their own: what a process imports, in which order, and what its
 * environment says can be tested once in each.
 */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const root = new URL('../../', import.meta.url);

export const pathIn = (base: URL, file: string): string => fileURLToPath(new URL(file, base));

/** The packages that bring the `tensorflow` backend. */
export type TensorFlowPackage = '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';

/** Import statements for programs. */
export const TFJS_NODE = `import * as tf from '@tensorflow/tfjs-node-gpu';`;
export const NODE_ENTRY = `import * as tfxf from '${pathIn(root, 'src/node.ts')}';`;

export interface Outcome<T> {
  result: T;
  /** What it passed to console.warn. */
  warnings: string[];
}

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(file: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      cwd: fileURLToPath(root),
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', TFJS_XFORMERS_NATIVE: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** The programs of one test file, in a folder of theirs. */
export class Programs {
  readonly folder: URL;

  constructor(name: string) {
    this.folder = new URL(`.cache/programs/${name}/`, root);
  }

  async make(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /**
   * Runs a program, an ES module, and answers what it assigned to `result` (as JSON) and warned of.
   * Throws an error with what it wrote if it ends in any other way.
   *
   * @param lines those that begin with `import` come before all others
   */
  async run<T>(name: string, lines: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome<T>> {
    const isImport = (line: string): boolean => line.startsWith('import ');
    const program = [
      ...lines.filter(isImport),
      'const warnings = [];',
      'console.warn = (text) => void warnings.push(text);',
      'let result;',
      ...lines.filter((line) => !isImport(line)),
      // What warns does so when the modules of the program have been evaluated.
      'await new Promise((resolve) => setTimeout(resolve, 20));',
      'console.log(JSON.stringify({ result, warnings }));',
    ];
    const file = new URL(`${name}.mjs`, this.folder);
    await writeFile(file, program.join('\n'));
    const { status, signal, stdout, stderr } = await start(fileURLToPath(file), env);
    if (status !== 0) throw new Error(`${name} ended with ${status ?? signal}:\n${stderr}`);
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome<T>;
  }
}
