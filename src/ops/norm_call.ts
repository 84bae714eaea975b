// SPDX-License-Identifier: Apache-2.0
/** What the four fused norms share: checking a call, and running its kernel. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { BFloat16Tensor } from '../bf16/bfloat16_tensor.js';
import { FusedNorm, NORM_INPUTS } from '../kernel_names.js';
import type { NormInputs } from '../kernel_names.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import { NORM_OPTIONS, normSpec } from '../spec/norm.js';
import type { NormKind, NormOptions, NormSpec } from '../spec/norm.js';
import type { FusedOp } from '../spec/support.js';
import { checkFloatTensor, checkOptions, checkOutputDType, handleOf } from './arguments.js';
import { checkRequireFused, noteFallback } from './fallback.js';
import { runOptionalInputKernel } from './run_kernel.js';

/** A tensor argument that may be left out. */
export type OptionalTensor = FloatTensor | null | undefined;

export interface NormArguments {
  x: FloatTensor;
  /** Required by the fused-add norms, which pass it even when the caller did not. */
  residual?: FloatTensor;
  gamma?: OptionalTensor;
  beta?: OptionalTensor;
}

/** A checked call: the kernel's tensors and attributes. */
export interface NormCall {
  inputs: NormInputs<Tensor>;
  spec: NormSpec;
}

/** Checks all arguments of a norm; throws before anything is computed. */
export function checkNormCall(
  op: FusedOp,
  kind: NormKind,
  given: NormArguments,
  options: NormOptions,
): NormCall {
  checkOptions(op, options, NORM_OPTIONS[kind]);
  checkOutputDType(op, options.outputDtype);
  checkRequireFused(op, options.requireFused);
  const present: [keyof NormArguments, FloatTensor][] = [];
  for (const name of NORM_INPUTS) {
    const isOptional = name === 'gamma' || name === 'beta';
    const tensor = given[name];
    if (!(name in given) || (isOptional && (tensor === null || tensor === undefined))) continue;
    checkFloatTensor(op, name, tensor);
    present.push([name, tensor]);
  }
  const operands = Object.fromEntries(present) as unknown as NormInputs<FloatTensor>;
  const spec = normSpec(op, kind, operands, options);
  const inputs = Object.fromEntries(
    present.map(([name, tensor]) => [name, handleOf(op, name, tensor)]),
  ) as unknown as NormInputs<Tensor>;
  noteFallback({ op, dtype: spec.xDtype }, options.requireFused);
  return { inputs, spec };
}

/** Runs the kernel: [output, statistics, sum if there is a residual]. Call it in a tf.tidy. */
export function runNorm({ inputs, spec }: NormCall): Tensor[] {
  return runOptionalInputKernel(FusedNorm, NORM_INPUTS, inputs, spec);
}

/** The user's view of a kernel's output. */
export function asFloatTensor(output: Tensor, dtype: FloatDType): FloatTensor {
  return dtype === 'bfloat16' ? new BFloat16Tensor(output) : output;
}
