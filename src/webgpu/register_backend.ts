// SPDX-License-Identifier: Apache-2.0
import { checkChoice, checkOptions } from '../ops/arguments.js';
import { checkFlag, describe, typeError } from '../spec/errors.js';
import { failure } from './failure.js';
import { webgpuPart } from './loading.js';

export interface WebGPUOptions {
  /** Which adapter to ask for; default: the one that tfjs would ask for. */
  powerPreference?: GPUPowerPreference | undefined;
  /** A device of your own, used as it is; `powerPreference` then does nothing. */
  device?: GPUDevice | undefined;
  /**
   * Asks for subgroup matrices (tensor cores), an experimental feature of Dawn and Chromium, where the adapter has
   * it; attention then uses them, gradients included. Default: false. Not yet run on hardware: docs/performance.md.
   */
  subgroupMatrices?: boolean | undefined;
}

const OP = 'registerWebGPUBackend';
const OPTIONS: readonly (keyof WebGPUOptions)[] = ['powerPreference', 'device', 'subgroupMatrices'];

function checkArguments({ powerPreference, device, subgroupMatrices }: WebGPUOptions): void {
  const preferences = ['low-power', 'high-performance'];
  const mend = 'Leave it out to ask as tfjs does.';
  checkChoice(OP, 'options.powerPreference', powerPreference, preferences, mend);
  checkFlag(OP, 'options.subgroupMatrices', subgroupMatrices, 'Leave it out to go without.');
  if (device !== undefined && !isDevice(device)) {
    throw typeError({
      op: OP,
      argument: 'options.device',
      expected: 'a GPUDevice',
      got: describe(device),
      mend: 'Pass what `await adapter.requestDevice()` returns, or leave it out.',
    });
  }
}

function isDevice(value: unknown): value is GPUDevice {
  const device = value as Partial<GPUDevice> | null;
  return (
    typeof device === 'object' &&
    typeof device?.createComputePipeline === 'function' &&
    device.queue !== undefined &&
    device.limits !== undefined &&
    device.features !== undefined
  );
}

/**
 * Replaces tfjs' `webgpu` backend by one whose device has every optional feature that the kernels
 * can use (shader-f16, subgroups, timestamp-query, larger limits), as far as the adapter has them.
 * tfjs' own kernels work on it as before. Without this call the kernels run on tfjs' default
 * device, only without those features.
 *
 * Call it before tensors are made on `webgpu`: those of the replaced backend are lost. If `webgpu`
 * was the current backend, it is again; else choose it with tf.setBackend('webgpu'). A second call
 * replaces the backend again.
 *
 * @param options see WebGPUOptions.
 * @throws (as a rejection) TypeError for an unknown option or a device that is none; Error where
 *   there is no WebGPU, no adapter, or no registered tfjs backend `webgpu`, or where the kernels
 *   cannot be loaded. The backend is then what it was.
 * @example
 * import '@tensorflow/tfjs-backend-webgpu';
 * await registerWebGPUBackend();
 * await tf.setBackend('webgpu');
 */
export async function registerWebGPUBackend(options: WebGPUOptions = {}): Promise<void> {
  checkOptions(OP, options, OPTIONS);
  checkArguments(options);
  if (typeof navigator === 'undefined' || !navigator.gpu) {
    throw failure(
      'navigator.gpu is missing, so there is no WebGPU here',
      'It needs a browser with WebGPU and a secure context (https or localhost); in Node put the ' +
        "npm package 'webgpu' behind navigator.gpu.",
    );
  }
  const { replaceBackend } = await webgpuPart(OP);
  await replaceBackend(options);
}
