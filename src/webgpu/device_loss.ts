// SPDX-License-Identifier: Apache-2.0
/**
 * A device can be lost at any time: the driver is reset or updated, the GPU is unplugged, its memory
 * runs out. WebGPU then takes commands as before and does nothing, so that results would be zeros.
 */
const losses = new WeakMap<GPUDevice, GPUDeviceLostInfo>();
const watched = new WeakSet<GPUDevice>();

/**
 * To be called before anything is done on a device.
 * @throws Error if it is lost.
 */
export function checkDevice(device: GPUDevice): void {
  if (!watched.has(device)) {
    watched.add(device);
    void device.lost.then((loss) => losses.set(device, loss));
  }
  const loss = losses.get(device);
  if (!loss) return;
  const why = [loss.reason, loss.message].filter((part) => part).join(': ');
  throw new Error(
    `tfjs-xformers: the WebGPU device is lost (${why}), and its tensors with it. Get a new one with ` +
      '`await registerWebGPUBackend()`, then make the tensors and load the models again.',
  );
}
