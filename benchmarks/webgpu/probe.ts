// SPDX-License-Identifier: Apache-2.0
/**
 * What one call costs a device, whoever makes it: bytes of the buffers that it holds, dispatches, and
 * time on the GPU. For the length of the call the device's own methods are replaced by ones that count.
 *
 * A buffer is held from its creation, or from its first binding if it comes out of a pool, until it
 * is destroyed. Libraries keep pools, which would hide what a call needs from a count of creations.
 */

export interface Footprint {
  /** Most bytes of buffers that were held at a time, operands included. */
  peakBytes: number;
  dispatches: number;
  /** Seconds during which at least one compute pass was running; NaN without timestamps. */
  gpuSeconds: number;
}

/** WebGPU's own limit of a query set. */
const MAX_QUERIES = 4096;

/** Replaces a method of one object; the result brings the old one back. */
function replace<T extends object, K extends keyof T>(
  object: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = (object[name] as { bind(object: T): T[K] }).bind(object);
  Object.defineProperty(object, name, { value: make(original), configurable: true });
  return () => Reflect.deleteProperty(object, name);
}

/** Length of the union of intervals, given as begin, end, begin, end …, in seconds of nanoseconds. */
export function busySeconds(timestamps: BigUint64Array): number {
  const intervals: [bigint, bigint][] = [];
  for (let n = 0; n + 1 < timestamps.length; n += 2) {
    const [begin, end] = [timestamps[n]!, timestamps[n + 1]!];
    if (end > begin) intervals.push([begin, end]);
  }
  intervals.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  let [busy, until] = [0n, 0n];
  for (const [begin, end] of intervals) {
    const from = begin > until ? begin : until;
    if (end > from) busy += end - from;
    if (end > until) until = end;
  }
  return Number(busy) * 1e-9;
}

class HeldBuffers {
  private readonly buffers = new Map<GPUBuffer, () => void>();
  private bytes = 0;
  peak = 0;

  hold(buffer: GPUBuffer): void {
    if (this.buffers.has(buffer)) return;
    this.bytes += buffer.size;
    this.peak = Math.max(this.peak, this.bytes);
    const restore = replace(buffer, 'destroy', (destroy) => () => {
      this.drop(buffer);
      return destroy();
    });
    this.buffers.set(buffer, restore);
  }

  private drop(buffer: GPUBuffer): void {
    this.buffers.get(buffer)?.();
    if (this.buffers.delete(buffer)) this.bytes -= buffer.size;
  }

  release(): void {
    for (const restore of this.buffers.values()) restore();
  }
}

function boundBuffer(resource: GPUBindingResource | GPUBuffer): GPUBuffer | null {
  if (resource instanceof GPUBuffer) return resource;
  return 'buffer' in resource ? resource.buffer : null;
}

/** Timestamps around every compute pass. */
class Timestamps {
  private readonly querySet: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private readonly readable: GPUBuffer;
  private used = 0;

  constructor(private readonly device: GPUDevice) {
    const size = 8 * MAX_QUERIES;
    this.querySet = device.createQuerySet({ type: 'timestamp', count: MAX_QUERIES });
    this.resolved = device.createBuffer({
      size,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    this.readable = device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }

  /** The descriptor of the next pass. */
  around(descriptor: GPUComputePassDescriptor = {}): GPUComputePassDescriptor {
    const first = this.used;
    this.used += 2;
    if (this.used > MAX_QUERIES) return descriptor;
    const timestampWrites = {
      querySet: this.querySet,
      beginningOfPassWriteIndex: first,
      endOfPassWriteIndex: first + 1,
    };
    return { ...descriptor, timestampWrites };
  }

  async seconds(): Promise<number> {
    if (this.used === 0 || this.used > MAX_QUERIES) return NaN;
    const size = 8 * this.used;
    const encoder = this.device.createCommandEncoder();
    encoder.resolveQuerySet(this.querySet, 0, this.used, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, this.readable, 0, size);
    this.device.queue.submit([encoder.finish()]);
    await this.readable.mapAsync(GPUMapMode.READ, 0, size);
    const seconds = busySeconds(new BigUint64Array(this.readable.getMappedRange(0, size).slice(0)));
    this.readable.unmap();
    return seconds;
  }

  release(): void {
    this.querySet.destroy();
    this.resolved.destroy();
    this.readable.destroy();
  }
}

/**
 * @param call everything up to its completion on the device; nothing may be recorded and unsubmitted
 *   before it
 * @param runs false to record only: nothing is handed to the device, and no time is measured
 */
export async function measureFootprint(
  device: GPUDevice,
  call: () => Promise<void>,
  runs = true,
): Promise<Footprint> {
  const held = new HeldBuffers();
  const isTimed = runs && device.features.has('timestamp-query');
  const timestamps = isTimed ? new Timestamps(device) : null;
  let dispatches = 0;
  const counted = (pass: GPUComputePassEncoder) => {
    for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect'] as const) {
      replace(pass, name, (dispatch: (...args: never[]) => undefined) => (...args: never[]) => {
        dispatches++;
        return dispatch(...args);
      });
    }
    return pass;
  };
  const restores = [
    ...(runs ? [] : [replace(device.queue, 'submit', () => () => undefined)]),
    replace(device, 'createBuffer', (create) => (descriptor) => {
      const buffer = create(descriptor);
      held.hold(buffer);
      return buffer;
    }),
    replace(device, 'createBindGroup', (create) => (descriptor) => {
      for (const { resource } of descriptor.entries) {
        const buffer = boundBuffer(resource);
        if (buffer) held.hold(buffer);
      }
      return create(descriptor);
    }),
    replace(device, 'createCommandEncoder', (create) => (descriptor) => {
      const encoder = create(descriptor);
      replace(
        encoder,
        'beginComputePass',
        (begin) => (pass) => counted(begin(timestamps?.around(pass) ?? pass)),
      );
      return encoder;
    }),
  ];
  try {
    await call();
  } finally {
    for (const restore of restores) restore();
    held.release();
  }
  const gpuSeconds = (await timestamps?.seconds()) ?? NaN;
  timestamps?.release();
  return { peakBytes: held.peak, dispatches, gpuSeconds };
}

/**
 * Seconds of the slowest pipeline that is made while `f` runs. NaN in a browser, where making one returns
 * before it is compiled.
 */
export async function slowestCompile(device: GPUDevice, f: () => Promise<void>): Promise<number> {
  let slowest = 0;
  const note = (start: number) => {
    slowest = Math.max(slowest, (performance.now() - start) / 1000);
  };
  const restores = [
    replace(device, 'createComputePipeline', (create) => (descriptor) => {
      const start = performance.now();
      const pipeline = create(descriptor);
      note(start);
      return pipeline;
    }),
    replace(device, 'createComputePipelineAsync', (create) => async (descriptor) => {
      const start = performance.now();
      const pipeline = await create(descriptor);
      note(start);
      return pipeline;
    }),
  ];
  try {
    await f();
  } finally {
    for (const restore of restores) restore();
  }
  return typeof document === 'undefined' ? slowest : NaN;
}
