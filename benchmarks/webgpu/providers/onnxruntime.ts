// SPDX-License-Identifier: Apache-2.0
/**
 * onnxruntime-web's WebGPU execution provider on our device: MultiHeadAttention without a mask,
 * GroupQueryAttention (always causal) with one and for decoding, LayerNormalization, its simplified
 * form (RMS norm) and SkipLayerNormalization. Operands and results stay in GPU buffers.
 */
import { isAttention } from '../../shared/case.js';
import type { AttentionCase, Case, RowCase } from '../../shared/case.js';
import { headsFirst } from '../../shared/inputs.js';
import type { Arrays } from '../../shared/inputs.js';
import { oneNodeModel } from '../../shared/onnx_model.js';
import type { OneNode, TensorSpec } from '../../shared/onnx_model.js';
import type { Work } from '../../shared/work.js';
import { isModel } from '../cases.js';
import type { Provider } from '../provider.js';

/** The part of onnxruntime-web that is used here. */
interface OrtTensor {
  readonly gpuBuffer: GPUBuffer;
  getData(): Promise<Float32Array>;
  dispose(): void;
}
type OrtTensors = Record<string, OrtTensor>;
interface OrtSession {
  run(inputs: OrtTensors, outputs?: OrtTensors): Promise<OrtTensors>;
  release(): Promise<void>;
}
interface Ort {
  Tensor: {
    new (type: 'int32', data: Int32Array, dims: readonly number[]): OrtTensor;
    fromGpuBuffer(
      buffer: GPUBuffer,
      options: { dataType: 'float32'; dims: readonly number[] },
    ): OrtTensor;
  };
  InferenceSession: {
    create(model: Uint8Array, options: Record<string, unknown>): Promise<OrtSession>;
  };
  env: { wasm: { numThreads: number; wasmPaths?: string }; logLevel: string };
}

interface Plan {
  node: OneNode;
  /** Values of inputs that are not the case's own, or differ from them. */
  values?: Record<string, Float32Array | Int32Array>;
  /** Outputs that live where an input lives. */
  inPlace?: Record<string, string>;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

function multiHeadAttention(c: AttentionCase): Plan {
  const query = [c.batch, c.queries, c.heads * c.dim];
  const key = [c.batch, c.keys, c.heads * c.dim];
  return {
    node: {
      op: 'MultiHeadAttention',
      domain: 'com.microsoft',
      attributes: { num_heads: { int: c.heads } },
      inputs: [
        { name: 'query', shape: query },
        { name: 'key', shape: key },
        { name: 'value', shape: key },
      ],
      outputs: [{ name: 'output', shape: query }],
    },
  };
}

/**
 * The queries' own keys join a cache that has the others: all of them in decoding, where the cache stays
 * where it is, and none before the first query.
 */
function groupQueryAttention(c: AttentionCase, arrays: Arrays): Plan {
  const decodes = c.op === 'decoding';
  const cache = [c.batch, c.kvHeads, c.keys, c.dim];
  const step = [c.batch, c.queries, c.kvHeads * c.dim];
  const query = [c.batch, c.queries, c.heads * c.dim];
  const start = (c.keys - c.queries) * c.kvHeads * c.dim;
  const past = (name: string) => (decodes ? { name, shape: cache } : { name: '', shape: [] });
  return {
    node: {
      op: 'GroupQueryAttention',
      domain: 'com.microsoft',
      attributes: {
        num_heads: { int: c.heads },
        kv_num_heads: { int: c.kvHeads },
        ...(c.window !== undefined && { local_window_size: { int: c.window } }),
      },
      inputs: [
        { name: 'query', shape: query },
        { name: 'key', shape: step },
        { name: 'value', shape: step },
        past('past_key'),
        past('past_value'),
        { name: 'seqlens_k', shape: [c.batch], type: 'int32' },
        { name: 'total_sequence_length', shape: [1], type: 'int32' },
      ],
      outputs: [
        { name: 'output', shape: query },
        { name: 'present_key', shape: cache },
        { name: 'present_value', shape: cache },
      ],
    },
    values: {
      key: arrays['key']!.subarray(start),
      value: arrays['value']!.subarray(start),
      ...(decodes && {
        past_key: headsFirst(c, arrays['key']!),
        past_value: headsFirst(c, arrays['value']!),
      }),
      seqlens_k: Int32Array.of(c.keys - 1),
      total_sequence_length: Int32Array.of(c.keys),
    },
    ...(decodes && { inPlace: { present_key: 'past_key', present_value: 'past_value' } }),
  };
}

const NORMS = {
  'layer norm': { op: 'LayerNormalization', domain: '' },
  'rms norm': { op: 'SimplifiedLayerNormalization', domain: '' },
  'add layer norm': { op: 'SkipLayerNormalization', domain: 'com.microsoft' },
} as const;

function norm(op: keyof typeof NORMS, { rows, columns }: RowCase): Plan {
  const skips = op === 'add layer norm';
  const x = { name: 'x', shape: [1, rows, columns] };
  const weight = (name: string) => ({ name, shape: [columns] });
  return {
    node: {
      ...NORMS[op],
      attributes: { ...(!skips && { axis: { int: 2 } }), epsilon: { float: 1e-5 } },
      inputs: [
        x,
        ...(skips ? [{ ...x, name: 'residual' }] : []),
        weight('gamma'),
        ...(op === 'rms norm' ? [] : [weight('beta')]),
      ],
      outputs: [
        { ...x, name: 'output' },
        // The sum is the op's fourth output, after mean and deviation, and the package's second.
        ...(skips ? ['', '', 'sum'].map((name) => ({ ...x, name })) : []),
      ],
    },
  };
}

function planOf(c: Case, arrays: Arrays): Plan | string {
  if (c.dtype !== 'float32') return 'no bfloat16';
  if (c.mode !== 'forward') return 'inference only';
  if (isAttention(c)) {
    // One query sees all keys, with a causal mask and without.
    if (c.causal || c.op === 'decoding') return groupQueryAttention(c, arrays);
    return c.heads === c.kvHeads ? multiHeadAttention(c) : 'GroupQueryAttention is always causal';
  }
  return c.op === 'matmul' || c.op === 'bf16 pack' ? `no ${c.op}` : norm(c.op, c);
}

/** A session and its operands, in buffers of our own. */
class Prepared implements Work {
  private readonly buffers: GPUBuffer[] = [];
  private inputs: OrtTensors = {};
  private outputTensors: OrtTensors = {};

  constructor(
    private readonly ort: Ort,
    private readonly device: GPUDevice,
    private readonly session: OrtSession,
    { node, values = {}, inPlace = {} }: Plan,
    arrays: Arrays,
  ) {
    const held: Record<string, GPUBuffer> = {};
    for (const spec of node.inputs.filter(({ name }) => name)) {
      const data = values[spec.name] ?? arrays[spec.name]!;
      if (data instanceof Int32Array) {
        this.inputs[spec.name] = new ort.Tensor('int32', data, spec.shape);
      } else {
        held[spec.name] = this.buffer(spec, data);
        this.inputs[spec.name] = this.tensor(spec, held[spec.name]!);
      }
    }
    for (const spec of node.outputs.filter(({ name }) => name)) {
      const buffer = held[inPlace[spec.name] ?? ''] ?? this.buffer(spec);
      this.outputTensors[spec.name] = this.tensor(spec, buffer);
    }
  }

  private buffer({ shape }: TensorSpec, data?: Float32Array): GPUBuffer {
    const buffer = this.device.createBuffer({
      size: 4 * sizeOf(shape),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    if (data) this.device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    this.buffers.push(buffer);
    return buffer;
  }

  private tensor({ shape }: TensorSpec, buffer: GPUBuffer): OrtTensor {
    return this.ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape });
  }

  async run(): Promise<void> {
    await this.session.run(this.inputs, this.outputTensors);
  }

  async outputs(): Promise<Arrays> {
    await this.run();
    const { gpuBuffer } = this.outputTensors['output']!;
    const staging = this.device.createBuffer({
      size: gpuBuffer.size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(gpuBuffer, 0, staging, 0, gpuBuffer.size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const output = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return { output };
  }

  async release(): Promise<void> {
    await this.session.release();
    for (const buffer of this.buffers) buffer.destroy();
  }
}

/** In Node its memory is a SharedArrayBuffer, which Dawn's bindings refuse to read from. */
function acceptSharedMemory(device: GPUDevice): void {
  const { queue } = device;
  const write = queue.writeBuffer.bind(queue);
  const copying = (...[buffer, offset, data, ...rest]: Parameters<typeof write>) => {
    const isShared = ArrayBuffer.isView(data) && data.buffer instanceof SharedArrayBuffer;
    return write(buffer, offset, isShared ? Uint8Array.from(data as Uint8Array) : data, ...rest);
  };
  Object.defineProperty(queue, 'writeBuffer', { value: copying, configurable: true });
}

/** @param url where its module for WebGPU is */
export async function onnxruntimeProvider(
  device: GPUDevice,
  url: string,
  version: string,
): Promise<Provider> {
  if (typeof process !== 'undefined') acceptSharedMemory(device);
  const ort = (await import(url)) as Ort;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return {
    versions: { 'onnxruntime-web': version },
    prepare: async (c, arrays) => {
      if (isModel(c)) return 'no model';
      const plan = planOf(c, arrays);
      if (typeof plan === 'string') return plan;
      const session = await ort.InferenceSession.create(oneNodeModel(plan.node), {
        executionProviders: [{ name: 'webgpu', device, validationMode: 'disabled' }],
        graphOptimizationLevel: 'all',
      });
      return new Prepared(ort, device, session, plan, arrays);
    },
  };
}
