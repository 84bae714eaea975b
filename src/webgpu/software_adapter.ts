// SPDX-License-Identifier: Apache-2.0

const SOFTWARE_ADAPTERS = ['swiftshader', 'llvmpipe', 'lavapipe', 'warp'];

/** Whether the processor does the work of this device: all is slow there, and barriers very. */
export function isSoftwareAdapter(device: GPUDevice): boolean {
  const info: Partial<GPUAdapterInfo> = device.adapterInfo ?? {};
  const name = `${info.architecture ?? ''} ${info.description ?? ''}`.toLowerCase();
  return info.isFallbackAdapter === true || SOFTWARE_ADAPTERS.some((known) => name.includes(known));
}
