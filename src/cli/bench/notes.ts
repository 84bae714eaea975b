// SPDX-License-Identifier: Apache-2.0
/** What the command and its processes say to each other; plain data. */
import type { TensorFlowFacts } from '../candidates.js';
import type { OpFigures, OpName } from './op.js';

export interface BenchTask {
  /** Index of the candidate backend. */
  candidate: number;
  ops: readonly OpName[];
  /** About how long it may take. */
  seconds: number;
}

/** What computes. */
export interface BackendFacts {
  package: string;
  version: string | null;
  /** How this package's ops run. */
  kernels: 'fused' | 'portable';
  /** What memory figures count. */
  memory: 'GPU buffers' | 'tensors';
  tensorflow?: TensorFlowFacts;
  /** Instruction set and threads of the native library; null where it is not loaded. */
  native?: string | null;
  adapter?: string;
  /** Whether the adapter is software. */
  software?: boolean;
}

export type Note =
  | { kind: 'doing'; text: string }
  | { kind: 'facts'; facts: BackendFacts }
  | { kind: 'figures'; figures: OpFigures }
  | { kind: 'failure'; reason: string };
