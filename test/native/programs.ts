// SPDX-License-Identifier: Apache-2.0
/** Programs that run every op in a process of their own. */
import { NODE_ENTRY, TFJS_NODE, pathIn, root } from '../support/program.js';
import type { Digests } from './every_op.js';
import type { NativeInfo } from '../../src/tensorflow/state.js';

export const EVERY_OP = `import { digestsOf, everyOp } from '${pathIn(root, 'test/native/every_op.ts')}';`;
export const COUNT_OPS = `import { calledOps, countOps } from '${pathIn(root, 'test/support/native_calls.ts')}';`;

/** What the program below tells. */
export interface Run {
  native: NativeInfo;
  digests: Digests;
  /** The ops of ours that TensorFlow executed. */
  ops: string[];
}

/** The result of a program that has run every op: in it, `counts` are those of countOps(). */
export const RUN = `{
  native: tfxf.info().native,
  digests: digestsOf(everyOp(tfxf)),
  ops: calledOps(counts),
}`;

/** Runs every op on the native kernels and tells their results. */
export const RUN_EVERY_OP = [
  TFJS_NODE,
  NODE_ENTRY,
  EVERY_OP,
  COUNT_OPS,
  'const counts = countOps();',
  `result = ${RUN};`,
];
