// SPDX-License-Identifier: Apache-2.0
/**
 * What benchmarks/native.ts and its workers say to each other: one JSON object a line, one reply to
 * each command. Every provider is a process of its own, so that no library's threads, allocator or
 * settings meet another's, and so that its memory can be told apart.
 *
 *     hello    set the number of threads         -> versions
 *     prepare  read a case's files, convert      -> nothing, or why the provider cannot do it
 *     outputs  compute once, write the results   -> nothing
 *     time     compute for some seconds          -> seconds of each call
 *     release  drop the case
 *
 * Files are raw float32, row-major, in the layout of tfjs-xformers: [B, M, H, D], [rows, columns].
 */
import type { Work } from '../shared/work.js';
import type { Case } from './cases.js';

export type Files = Record<string, string>;

export type CaseWithFiles = Case & { inputs: Files };

export type Command =
  | { command: 'hello'; threads: number }
  | { command: 'prepare'; case: CaseWithFiles }
  | { command: 'outputs'; files: Files }
  | { command: 'time'; seconds: number }
  | { command: 'release' };

export interface Reply {
  versions?: Record<string, string>;
  unsupported?: string;
  times?: number[];
  /** Minor page faults of a call: pages of memory that the kernel had to hand out. */
  faults?: number;
  error?: string;
}

/** What a worker written in TypeScript provides. */
export interface Provider {
  hello(threads: number): Promise<Record<string, string>>;
  /** @returns the work, or why the provider cannot do it */
  prepare(c: CaseWithFiles): Promise<Work | string>;
}
