// SPDX-License-Identifier: Apache-2.0
/** Running a checked attention call, and what is kept of it while a gradient is recorded. */
import { engine, tidy } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { attentionGradients } from '../gradients/attention_gradients.js';
import {
  ATTENTION_INPUTS,
  BFloat16Pack,
  MemoryEfficientAttention,
  asNamedTensors,
  packInputs,
  unpackInputs,
} from '../kernel_names.js';
import type { AttentionAttrs, AttentionInputs } from '../kernel_names.js';
import type { FloatTensor } from '../spec/dtype.js';
import { kernelInputs, userOutput } from './attention_operands.js';
import type { AttentionCall } from './attention_call.js';
import { runKernel, runOptionalInputKernel } from './run_kernel.js';

type KernelInputs = ReturnType<typeof kernelInputs>;
type CallAttrs = Omit<AttentionAttrs, 'present'>;

/**
 * Runs the kernel: output as the user sees it, and logSumExp. Call it in a tf.tidy.
 *
 * While a gradient is recorded a bfloat16 output is rounded after the kernel, so that the float32
 * one is saved: dS = P ∘ (dP - rowsum(dO ∘ O)) cancels where few keys are visible, and a rounded O
 * would leave an error there as large as the gradient.
 */
export function attend(call: AttentionCall, returnsLogSumExp: boolean): [FloatTensor, Tensor] {
  const isRecorded = engine().state.gradientDepth > 0;
  const roundsAfter = call.attrs.outputDtype === 'bfloat16' && isRecorded;
  const outputDtype = roundsAfter ? 'float32' : call.attrs.outputDtype;
  const run = isRecorded && call.saveDtype === 'bfloat16' ? runKeepingBFloat16 : runAttention;
  const attrs = { ...call.attrs, outputDtype, returnsLogSumExp };
  const [output, logSumExp] = run(kernelInputs(call), attrs);
  const stored = roundsAfter ? runKernel(BFloat16Pack, { x: output }) : output;
  return [userOutput(call, stored), logSumExp];
}

function runAttention(inputs: KernelInputs, attrs: CallAttrs): [Tensor, Tensor] {
  return runOptionalInputKernel(MemoryEfficientAttention, ATTENTION_INPUTS, inputs, attrs) as [
    Tensor,
    Tensor,
  ];
}

/** What tf.customGrad is made of; that has one result only, and computes the gradients of all inputs. */
interface Recorder {
  runKernelFunc(call: {
    inputs: object;
    attrs: object;
    forwardFunc: (backend: unknown, save: (tensors: Tensor[]) => void) => Tensor[];
    backwardsFunc: (dys: Tensor[], saved: Tensor[]) => Record<string, () => Tensor>;
  }): Tensor[];
}

/**
 * The same for saveDtype 'bfloat16'. Kept are query, key and value in bfloat16, bias and sink as they
 * are, and neither output nor logSumExp: of exact ones together with rounded values the gradient would be off
 * by more than the rounding itself. Both are computed again from what is kept, so the result is the
 * gradient of attention at the rounded values.
 */
function runKeepingBFloat16(inputs: KernelInputs, attrs: CallAttrs): [Tensor, Tensor] {
  const { present, list } = packInputs<Tensor>(ATTENTION_INPUTS, inputs);
  const kept: AttentionAttrs = { ...attrs, present, dtype: 'bfloat16', outputDtype: 'float32' };
  const isOperand = (index: number) => ['query', 'key', 'value'].includes(present[index]!);
  const round = (x: Tensor, index: number) =>
    isOperand(index) && attrs.dtype === 'float32' ? runKernel(BFloat16Pack, { x }) : x;
  const recorder = engine() as unknown as Recorder;
  return recorder.runKernelFunc({
    inputs: asNamedTensors(list),
    attrs: kept,
    forwardFunc: (_backend, save) => {
      save(list.map(round));
      return runAttention(inputs, attrs);
    },
    backwardsFunc: (dys, saved) => {
      const operands = unpackInputs<AttentionInputs<Tensor>>(present, saved);
      return attentionGradients(dys, kept, (use) =>
        tidy(() => {
          const [output, logSumExp] = runAttention(operands, kept);
          return use({ ...operands, output, logSumExp });
        }),
      );
    },
  }) as [Tensor, Tensor];
}
