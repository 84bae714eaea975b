// SPDX-License-Identifier: Apache-2.0
/**
 * What the device can do at all: a copy of as many bytes as a case has to move, half of them read and half
 * written, and a plain matrix product. Of some kernels each the fastest on this device is taken.
 */
import type { Work } from '../../shared/work.js';
import { bytesOf } from '../cases.js';
import type { Provider } from '../provider.js';
import { copyKernels, matmulKernels } from './limit_kernels.js';
import type { LimitKernel } from './limit_kernels.js';

const CALLS = 3;

/** A kernel with its pipeline and buffers; the last buffer is what it writes. */
class Prepared implements Work {
  private readonly pipeline: GPUComputePipeline;

  constructor(
    private readonly device: GPUDevice,
    private readonly kernel: LimitKernel,
    private readonly buffers: readonly GPUBuffer[],
  ) {
    const module = device.createShaderModule({ code: kernel.code });
    this.pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  }

  run(): void {
    const entries = this.buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const layout = this.pipeline.getBindGroupLayout(0);
    const bindGroup = this.device.createBindGroup({ layout, entries });
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...this.kernel.groups);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  async seconds(): Promise<number> {
    const { queue } = this.device;
    this.run();
    await queue.onSubmittedWorkDone();
    const start = performance.now();
    for (let n = 0; n < CALLS; n++) this.run();
    await queue.onSubmittedWorkDone();
    return (performance.now() - start) / 1000 / CALLS;
  }

  async outputs(): Promise<Record<string, Float32Array>> {
    this.run();
    const source = this.buffers.at(-1)!;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging = this.device.createBuffer({ size: source.size, usage });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const output = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return { output };
  }

  release(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }
}

function makeBuffer(device: GPUDevice, size: number, data?: Float32Array): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size, usage });
  if (data) device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
  return buffer;
}

async function fastest(
  device: GPUDevice,
  kernels: readonly LimitKernel[],
  buffers: readonly GPUBuffer[],
): Promise<Work> {
  const prepared = kernels.map((kernel) => new Prepared(device, kernel, buffers));
  const times: number[] = [];
  for (const one of prepared) times.push(await one.seconds());
  return prepared[times.indexOf(Math.min(...times))]!;
}

export function copyProvider(device: GPUDevice): Provider {
  return {
    versions: {},
    prepare: (c) => {
      const bytes = 16 * Math.ceil(bytesOf(c) / 2 / 16);
      const buffers = [makeBuffer(device, bytes), makeBuffer(device, bytes)];
      return fastest(device, copyKernels(bytes / 16, device.limits), buffers);
    },
  };
}

export function matmulProvider(device: GPUDevice): Provider {
  return {
    versions: {},
    prepare: (c, { a, b }) => {
      if (c.op !== 'matmul') return Promise.resolve(`no ${c.op}`);
      const { rows, columns } = c;
      const size = 4 * rows * columns;
      const buffers = [
        makeBuffer(device, size, a),
        makeBuffer(device, size, b),
        makeBuffer(device, size),
      ];
      return fastest(device, matmulKernels(rows, device.limits), buffers);
    },
  };
}
