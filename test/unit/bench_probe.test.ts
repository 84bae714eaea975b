// SPDX-License-Identifier: Apache-2.0
/** What bench:webgpu counts while a call runs, on a device that is made up. */
import { expect } from 'chai';
import { busySeconds, measureFootprint, slowestCompile } from '../../benchmarks/webgpu/probe.js';

class FakeBuffer {
  constructor(readonly size: number) {}
  destroy(): undefined {}
}

class FakePass {
  dispatchWorkgroups(): undefined {}
  dispatchWorkgroupsIndirect(): undefined {}
}

class FakeQueue {
  submitted = 0;
  submit(): undefined {
    this.submitted++;
  }
}

class FakeDevice {
  readonly features = new Set<string>();
  createBuffer({ size }: { size: number }) {
    return new FakeBuffer(size);
  }
  createBindGroup() {
    return {};
  }
  createCommandEncoder() {
    return { beginComputePass: () => new FakePass() };
  }
  createComputePipeline() {
    const end = performance.now() + 20;
    while (performance.now() < end);
    return {};
  }
  createComputePipelineAsync() {
    return Promise.resolve({});
  }
}

const device = () => new FakeDevice() as unknown as GPUDevice;
const bind = (d: GPUDevice, ...buffers: GPUBuffer[]) =>
  d.createBindGroup({
    layout: {} as GPUBindGroupLayout,
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });

describe('benchmarks: device probe', () => {
  const before = globalThis.GPUBuffer;
  beforeEach(() => Object.assign(globalThis, { GPUBuffer: FakeBuffer }));
  afterEach(() => {
    if (before) Object.assign(globalThis, { GPUBuffer: before });
    else Reflect.deleteProperty(globalThis, 'GPUBuffer');
  });

  it('peak bytes are of the buffers that are bound or made, until they are destroyed', async () => {
    const d = device();
    const pooled = d.createBuffer({ size: 100, usage: 0 });
    const { peakBytes } = await measureFootprint(d, () => {
      bind(d, pooled);
      bind(d, pooled);
      d.createBuffer({ size: 50, usage: 0 }).destroy();
      const late = d.createBuffer({ size: 30, usage: 0 });
      bind(d, late);
      return Promise.resolve();
    });
    expect(peakBytes).to.equal(150);
  });

  it('counts dispatches of every pass, and nothing after the call', async () => {
    const d = device();
    const dispatch = () => {
      const pass = d.createCommandEncoder().beginComputePass();
      pass.dispatchWorkgroups(1);
      pass.dispatchWorkgroupsIndirect({} as GPUBuffer, 0);
    };
    const call = () => {
      dispatch();
      dispatch();
      return Promise.resolve();
    };
    const first = await measureFootprint(d, call);
    dispatch();
    expect(first.dispatches).to.equal(4);
    expect(first.gpuSeconds).to.be.NaN;
    expect(Object.keys(d)).to.deep.equal(['features']);
  });

  it('a call that is not to run is counted, and nothing of it is submitted', async () => {
    const queue = new FakeQueue();
    const d = Object.assign(device(), { queue }) as unknown as GPUDevice;
    const call = () => {
      const encoder = d.createCommandEncoder();
      bind(d, d.createBuffer({ size: 50, usage: 0 }));
      encoder.beginComputePass().dispatchWorkgroups(1);
      d.queue.submit([]);
      return Promise.resolve();
    };
    const { peakBytes, dispatches, gpuSeconds } = await measureFootprint(d, call, false);
    expect([peakBytes, dispatches, gpuSeconds]).to.deep.equal([50, 1, NaN]);
    expect(queue.submitted).to.equal(0);
    await measureFootprint(d, call);
    expect(queue.submitted).to.equal(1);
  });

  it('gives the device its methods back when the call throws', async () => {
    const d = device();
    const error = await measureFootprint(d, () => Promise.reject(new Error('no'))).catch(
      (e: Error) => e.message,
    );
    expect(error).to.equal('no');
    expect(Object.keys(d)).to.deep.equal(['features']);
  });

  it('the slowest pipeline counts', async () => {
    const d = device();
    const seconds = await slowestCompile(d, async () => {
      await d.createComputePipelineAsync({} as GPUComputePipelineDescriptor);
      d.createComputePipeline({} as GPUComputePipelineDescriptor);
    });
    expect(seconds).to.be.within(0.02, 5);
  });

  it('time on the GPU is the union of the passes: gaps do not count, overlaps count once', () => {
    const nanoseconds = (...values: number[]) => BigUint64Array.from(values, BigInt);
    expect(busySeconds(nanoseconds(100, 200, 300, 500))).to.be.closeTo(300e-9, 1e-15);
    expect(busySeconds(nanoseconds(300, 500, 100, 400))).to.be.closeTo(400e-9, 1e-15);
    expect(busySeconds(nanoseconds(100, 500, 200, 300))).to.be.closeTo(400e-9, 1e-15);
    expect(busySeconds(nanoseconds(0, 0, 7, 3))).to.equal(0);
  });
});
