// SPDX-License-Identifier: Apache-2.0
/**
 * onnxruntime-node on the CPU, as one provider of benchmarks/native.ts: MultiHeadAttention (its
 * contributed op; `unidirectional` is its causal mask), GroupQueryAttention for decoding, and
 * LayerNormalization. Outputs go to tensors that are there already, so nothing is allocated while
 * it is timed.
 *
 *     node --import tsx benchmarks/native/onnxruntime_worker.ts <onnxruntime-node, or its folder>
 */
import { createRequire } from 'node:module';
import type { AttentionCase, RowCase } from '../shared/case.js';
import { headsFirst } from '../shared/inputs.js';
import { oneNodeModel } from '../shared/onnx_model.js';
import type { OneNode, TensorSpec } from '../shared/onnx_model.js';
import type { Work } from '../shared/work.js';
import type { CaseWithFiles } from './protocol.js';
import { readInput, serve } from './serve.js';

/** The part of onnxruntime-node that is used here; it is no dependency of this package. */
interface OrtTensor {
  readonly data: Float32Array | Int32Array;
}
type OrtTensors = Record<string, OrtTensor>;
interface OrtSession {
  run(inputs: OrtTensors, outputs: OrtTensors): Promise<OrtTensors>;
  release(): Promise<void>;
}
interface Ort {
  Tensor: new (
    type: 'float32' | 'int32',
    data: Float32Array | Int32Array,
    dims: readonly number[],
  ) => OrtTensor;
  InferenceSession: {
    create(model: Uint8Array, options: Record<string, unknown>): Promise<OrtSession>;
  };
  env: { versions: Record<string, string> };
}

type Arrays = Record<string, Float32Array | Int32Array>;

function load(name: string): Ort {
  try {
    return createRequire(import.meta.url)(name) as Ort;
  } catch (error) {
    console.error((error as Error).message.split('\n')[0]);
    process.exit(1);
  }
}

const ort = load(process.argv[2]!);
let threads = 1;

function attentionModel(c: AttentionCase): OneNode {
  const query = [c.batch, c.queries, c.heads * c.dim];
  const key = [c.batch, c.keys, c.heads * c.dim];
  return {
    op: 'MultiHeadAttention',
    domain: 'com.microsoft',
    attributes: { num_heads: { int: c.heads }, unidirectional: { int: c.causal ? 1 : 0 } },
    inputs: [
      { name: 'query', shape: query },
      { name: 'key', shape: key },
      { name: 'value', shape: key },
    ],
    outputs: [{ name: 'output', shape: query }],
  };
}

/** One step of decoding: the last key joins a cache that has the others, and stays where it is. */
function decodingModel(c: AttentionCase): OneNode {
  const step = [c.batch, 1, c.kvHeads * c.dim];
  const cache = [c.batch, c.kvHeads, c.keys, c.dim];
  const query = [c.batch, 1, c.heads * c.dim];
  return {
    op: 'GroupQueryAttention',
    domain: 'com.microsoft',
    attributes: { num_heads: { int: c.heads }, kv_num_heads: { int: c.kvHeads } },
    inputs: [
      { name: 'query', shape: query },
      { name: 'key', shape: step },
      { name: 'value', shape: step },
      { name: 'past_key', shape: cache },
      { name: 'past_value', shape: cache },
      { name: 'seqlens_k', shape: [c.batch], type: 'int32' },
      { name: 'total_sequence_length', shape: [1], type: 'int32' },
    ],
    outputs: [
      { name: 'output', shape: query },
      { name: 'present_key', shape: cache },
      { name: 'present_value', shape: cache },
    ],
  };
}

function layerNormModel({ rows, columns }: RowCase): OneNode {
  return {
    op: 'LayerNormalization',
    domain: '',
    attributes: { axis: { int: 1 }, epsilon: { float: 1e-5 } },
    inputs: [
      { name: 'x', shape: [rows, columns] },
      { name: 'gamma', shape: [columns] },
      { name: 'beta', shape: [columns] },
    ],
    outputs: [{ name: 'output', shape: [rows, columns] }],
  };
}

function modelOf(c: CaseWithFiles): OneNode | string {
  if (c.dtype !== 'float32' || c.mode !== 'forward') return 'float32 inference only';
  switch (c.op) {
    case 'attention':
      return attentionModel(c as AttentionCase);
    case 'decoding':
      return decodingModel(c as AttentionCase);
    case 'layer norm':
      return layerNormModel(c as RowCase);
    default:
      return `no ${c.op}`;
  }
}

/** Past and present caches are the same memory, so that onnxruntime copies neither. */
async function decodingArrays(c: AttentionCase & CaseWithFiles): Promise<Arrays> {
  const [key, value] = [await readInput(c, 'key'), await readInput(c, 'value')];
  const last = (c.keys - 1) * c.kvHeads * c.dim;
  const [keyCache, valueCache] = [headsFirst(c, key), headsFirst(c, value)];
  return {
    query: await readInput(c, 'query'),
    key: key.slice(last),
    value: value.slice(last),
    past_key: keyCache,
    present_key: keyCache,
    past_value: valueCache,
    present_value: valueCache,
    seqlens_k: Int32Array.of(c.keys - 1),
    total_sequence_length: Int32Array.of(c.keys),
  };
}

async function plainArrays(c: CaseWithFiles): Promise<Arrays> {
  const arrays: Arrays = {};
  for (const name of Object.keys(c.inputs)) arrays[name] = await readInput(c, name);
  return arrays;
}

function tensors(specs: readonly TensorSpec[], arrays: Arrays): OrtTensors {
  const result: OrtTensors = {};
  for (const { name, shape, type = 'float32' } of specs) {
    const size = shape.reduce((product, n) => product * n, 1);
    result[name] = new ort.Tensor(type, arrays[name] ?? new Float32Array(size), shape);
  }
  return result;
}

async function prepare(c: CaseWithFiles): Promise<Work | string> {
  const model = modelOf(c);
  if (typeof model === 'string') return model;
  const decodes = c.op === 'decoding';
  const arrays = await (decodes
    ? decodingArrays(c as AttentionCase & CaseWithFiles)
    : plainArrays(c));
  const [inputs, outputs] = [tensors(model.inputs, arrays), tensors(model.outputs, arrays)];
  const session = await ort.InferenceSession.create(oneNodeModel(model), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const run = async () => {
    await session.run(inputs, outputs);
  };
  return {
    run,
    outputs: async () => {
      await run();
      return { output: outputs['output']!.data as Float32Array };
    },
    release: () => session.release(),
  };
}

await serve({
  hello: (count) => {
    threads = count;
    return Promise.resolve({ 'onnxruntime-node': ort.env.versions['node'] ?? 'unknown' });
  },
  prepare,
});
