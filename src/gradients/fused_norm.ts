// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient of FusedNorm: one FusedNormGrad kernel for all inputs.
 *
 * Saved are the inputs, the row statistics and, if there is one, the sum that was normed. x and
 * residual enter as their sum, so one dx is the gradient of both.
 */
import { registerGradient } from '@tensorflow/tfjs-core';
import type { GradConfig, Tensor } from '@tensorflow/tfjs-core';
import { FusedNorm, FusedNormGrad, NORM_GRAD_INPUTS, unpackInputs } from '../kernel_names.js';
import type { NormAttrs, NormGradAttrs, NormGradInputs, NormInputs } from '../kernel_names.js';
import { runOptionalInputKernel } from '../ops/run_kernel.js';

const fusedNormGradient: GradConfig = {
  kernelName: FusedNorm,
  saveAllInputs: true,
  outputsToSave: [false, true, true],
  gradFunc: (dys, saved, attrs) => {
    const norm = attrs as unknown as NormAttrs;
    const [dy, , dsum] = dys as Tensor[];
    const inputs = unpackInputs<NormInputs<Tensor>>(norm.present, saved);
    const [stats, total] = saved.slice(norm.present.length) as [Tensor, Tensor | undefined];
    const gradInputs: NormGradInputs<Tensor> = {
      dy: dy!,
      x: total ?? inputs.x,
      stats,
      gamma: inputs.gamma,
      dsum,
    };
    const gradAttrs: Omit<NormGradAttrs, 'present'> = {
      kind: norm.kind,
      weightOffset: norm.weightOffset,
      xDtype: total ? 'float32' : norm.xDtype,
      gammaDtype: norm.gammaDtype,
      hasBeta: inputs.beta !== undefined,
    };
    const [dx, ...dweights] = runOptionalInputKernel(
      FusedNormGrad,
      NORM_GRAD_INPUTS,
      gradInputs,
      gradAttrs,
    ) as [Tensor, ...Tensor[]];
    const gradients: NormInputs<() => Tensor> = {
      x: () => dx,
      // A tensor of its own: tfjs disposes a gradient once it is added to another one.
      residual: () => dx.clone(),
      gamma: () => dweights[0]!,
      beta: () => dweights[dweights.length - 1]!,
    };
    return Object.fromEntries(
      norm.present.map((name, index) => [index, gradients[name as keyof typeof gradients]!]),
    );
  },
};

/** Makes fusedLayerNorm, fusedRMSNorm and their fused-add forms differentiable. */
export function registerFusedNormGradient(): void {
  registerGradient(fusedNormGradient);
}
