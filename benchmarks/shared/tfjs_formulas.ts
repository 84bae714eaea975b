// SPDX-License-Identifier: Apache-2.0
/** How a tfjs-based provider computes a case. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { FloatTensor } from '../../src/index.js';
import type { Case } from './case.js';

/** Inputs by name: query, key, value, doutput; x, gamma, beta, dy; a, b. */
export type Operands = Record<string, FloatTensor>;

export interface Formula {
  forward(operands: Operands): FloatTensor;
  /** Operands that gradients are taken of. */
  leaves?: readonly string[];
  /** Brings an operand to the provider's best layout and dtype, before any timing. */
  convert?(x: Tensor, name: string): FloatTensor;
  /** A result as float32 in our layout, for the check. */
  toLayout?(x: Tensor): Tensor;
  /** Frees what it keeps besides the operands. */
  dispose?(): void;
}

/** The formula of a case, or why there is none. */
export type Formulas = (c: Case) => Formula | string;
