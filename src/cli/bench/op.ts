// SPDX-License-Identifier: Apache-2.0
/** What an op of the benchmark is, and what measuring it tells. */
import type { Tensor } from '@tensorflow/tfjs-core';

/** The ops that `--op` takes. */
export const OP_NAMES = ['attention', 'causal', 'layer-norm', 'rms-norm', 'qk-norm'] as const;
export type OpName = (typeof OP_NAMES)[number];

/** Some rows of an output as float64 says they are: the error of all candidates is taken on them. */
export interface ExactRows {
  /** Where each row begins in the output. */
  starts: readonly number[];
  rows: readonly Float64Array[];
}

/** One way to compute an op. */
export interface Candidate {
  name: string;
  /** What gradients are taken of. */
  leaves: readonly Tensor[];
  run: () => Tensor;
  /** What it makes on the way, where that has an accuracy of its own. */
  runPart?: () => Tensor;
  /** Brings an output or a gradient into the layout of the first candidate; absent: it has it. */
  toFirst?: (x: Tensor) => Tensor;
  /** How far its results may be from those of plain tfjs, of their largest value. */
  tolerance: number;
}

/** An op of one size, with its inputs. */
export interface PreparedOp {
  /** In words, such as "[1, 512, 8, 64]". */
  shape: string;
  /** The last one is plain tfjs. */
  candidates: readonly Candidate[];
  exact: () => ExactRows;
  /** What `runPart` makes. */
  part?: { title: string; exact: () => ExactRows };
  /** Frees the variables, which no scope does. */
  dispose?: () => void;
}

export interface BenchOp {
  name: OpName;
  title: string;
  /** From small to large. */
  sizes: readonly number[];
  /** Tensors are made in the caller's scope, which frees them. */
  prepare: (size: number) => PreparedOp;
}

/** Against float64. */
export interface Accuracy {
  rmsError: number;
  maxError: number;
}

/** A candidate's figures. */
export interface Figures {
  name: string;
  /** Milliseconds: medians. null where they could not be measured, as `failure` says. */
  forward: number | null;
  forwardBackward: number | null;
  /** Peak bytes of forward and backward beyond what was held before. */
  workingBytes: number | null;
  /** Of the output. */
  accuracy: Accuracy | null;
  /** Of what is made on the way, which the op's `part` names. */
  partAccuracy?: Accuracy;
  failure?: string;
}

export interface OpFigures {
  op: OpName;
  title: string;
  shape: string;
  /** Rounds that the medians are of. */
  rounds: number;
  candidates: Figures[];
  part?: string;
}
