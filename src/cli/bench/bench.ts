// SPDX-License-Identifier: Apache-2.0
/** `tfjs-xformers bench`: each backend in a process of its own, one after the other. */
import os from 'node:os';
import { VERSION } from '../../version.js';
import { CANDIDATES } from '../candidates.js';
import { runChild } from '../child.js';
import { missingOf } from '../find_packages.js';
import { showProgress } from '../progress.js';
import type { BackendFacts, BenchTask, Note } from './notes.js';
import type { OpFigures, OpName } from './op.js';

export interface BenchOptions {
  /** null: all. */
  backends: readonly string[] | null;
  ops: readonly OpName[];
  /** Of each backend, about. */
  seconds: number;
}

export interface BackendBench {
  backend: string;
  /** null if the backend did not start. */
  facts: BackendFacts | null;
  ops: OpFigures[];
  /** Why there is nothing, or not everything. */
  failure: string | null;
  /** How long it took, starting the backend included. */
  seconds: number;
}

/** All that the command tells; `--json` prints it as it is. */
export interface BenchReport {
  version: string;
  node: string;
  platform: string;
  processor: string;
  date: string;
  backends: BackendBench[];
  /** Packages that would bring more. */
  notInstalled: string[];
}

/**
 * Starting a backend, its compiling (plain tfjs' shaders take half a minute on a software adapter), and sizes that turn out
 * slow come on top of the time for measuring.
 */
const timeoutMs = (seconds: number) => (120 + 4 * seconds) * 1000;

async function benchCandidate(index: number, { ops, seconds }: BenchOptions) {
  const { backend, packages } = CANDIDATES[index]!;
  const bench: BackendBench = { backend, facts: null, ops: [], failure: null, seconds: 0 };
  const task: BenchTask = { candidate: index, ops, seconds };
  const show = (text: string) => showProgress(`${backend} (${packages[0]})  ${text}`);
  show('starting');
  const start = performance.now();
  const ended = await runChild({
    module: 'bench/worker',
    argument: JSON.stringify(task),
    timeoutMs: timeoutMs(seconds),
    onMessage: (message) => {
      const note = message as Note;
      if (note.kind === 'doing') show(note.text);
      else if (note.kind === 'facts') bench.facts = note.facts;
      else if (note.kind === 'figures') bench.ops.push(note.figures);
      else bench.failure = note.reason;
    },
  });
  bench.seconds = (performance.now() - start) / 1000;
  if (ended !== null) bench.failure = `the process that measured it ${ended}`;
  return bench;
}

/** Measures what is installed. */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const wanted = [...CANDIDATES.entries()].filter(
    ([, { backend }]) => options.backends?.includes(backend) ?? true,
  );
  const installed = wanted.filter(([, candidate]) => missingOf(candidate.packages).length === 0);
  const backends: BackendBench[] = [];
  for (const [index] of installed) backends.push(await benchCandidate(index, options));
  return {
    version: VERSION,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: `${os.cpus()[0]?.model.trim() ?? process.arch}, ${os.availableParallelism()} threads`,
    date: new Date().toISOString(),
    backends,
    notInstalled: wanted.flatMap(([, candidate]) => missingOf(candidate.packages)),
  };
}

/** Whether something was measured, and nothing of it was wrong. */
export function isSound({ backends }: BenchReport): boolean {
  const measured = backends.flatMap(({ ops }) => ops).flatMap(({ candidates }) => candidates);
  const ours = measured.filter(({ name }) => !name.startsWith('plain'));
  return ours.some(({ forward }) => forward !== null) && ours.every(({ failure }) => !failure);
}
