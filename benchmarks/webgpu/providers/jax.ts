// SPDX-License-Identifier: Apache-2.0
/**
 * jax-js (`@jax-js/jax`): its own attention and a layer norm in its numpy, compiled by its jit; gradients
 * by its grad. It makes its device by itself, and so it is handed an adapter that has ours.
 */
import { isAttention } from '../../shared/case.js';
import type { AttentionCase, Case, RowCase } from '../../shared/case.js';
import { isModel } from '../cases.js';
import type { Arrays } from '../../shared/inputs.js';
import type { Work } from '../../shared/work.js';
import type { OpenDevice } from '../device.js';
import type { Provider } from '../provider.js';

/** The part of jax-js that is used here; using an array once uses it up, and `ref` is for once more. */
interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray): JaxArray;
  div(other: JaxArray): JaxArray;
  sum(): JaxArray;
  data(): Promise<Float32Array>;
  /** Submits what makes the array, without waiting for it; the array is then used up. */
  gpuBufferSync(): GPUBuffer;
  dispose(): void;
}
type Numeric = (...arrays: JaxArray[]) => JaxArray;
interface Jax {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  jit<F extends (...arrays: JaxArray[]) => JaxArray | JaxArray[]>(f: F): F;
  grad(f: Numeric, options: { argnums: number[] }): (...arrays: JaxArray[]) => JaxArray[];
  numpy: {
    array(values: Float32Array, options: { shape: readonly number[] }): JaxArray;
    mean(x: JaxArray, axis: number, options: { keepdims: boolean }): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
  nn: {
    dotProductAttention(
      query: JaxArray,
      key: JaxArray,
      value: JaxArray,
      options: { isCausal?: boolean; localWindowSize?: [number, number] },
    ): JaxArray;
  };
}

const EPSILON = 1e-5;

/** jax-js asks for an adapter and a device; this answers with ours, for the time that `load` takes. */
async function withOurDevice<T>({ adapter, device }: OpenDevice, load: () => Promise<T>) {
  const { gpu } = navigator;
  const lent = new Proxy(adapter, {
    get: (target, name) => {
      if (name === 'requestDevice') return () => Promise.resolve(device);
      return Reflect.get(target, name, target) as unknown;
    },
  });
  const requestAdapter = () => Promise.resolve(lent);
  Object.defineProperty(gpu, 'requestAdapter', { value: requestAdapter, configurable: true });
  try {
    return await load();
  } finally {
    Reflect.deleteProperty(gpu, 'requestAdapter');
  }
}

/** What jax-js takes for granted, and Node 20 lacks. */
function fillIn(): void {
  if (!navigator.userAgent) {
    Object.defineProperty(navigator, 'userAgent', { value: 'Node.js', configurable: true });
  }
  const iterators = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object;
  if ('map' in iterators) return;
  function* map<T, U>(this: Iterable<T>, f: (x: T, n: number) => U) {
    let n = 0;
    for (const x of this) yield f(x, n++);
  }
  function* filter<T>(this: Iterable<T>, f: (x: T, n: number) => boolean) {
    let n = 0;
    for (const x of this) if (f(x, n++)) yield x;
  }
  for (const [name, value] of Object.entries({ map, filter })) {
    Object.defineProperty(iterators, name, { value, configurable: true, writable: true });
  }
}

interface Formula {
  inputs: readonly string[];
  forward: Numeric;
}

function attention({ nn }: Jax, c: AttentionCase): Formula | string {
  // Its masks are aligned top-left, and a single query sees all keys without one.
  if (c.causal && c.queries !== c.keys) return 'no causal mask for the last queries';
  const options = {
    ...(c.causal && { isCausal: true }),
    ...(c.window !== undefined && { localWindowSize: [c.window - 1, 0] as [number, number] }),
  };
  return {
    inputs: ['query', 'key', 'value'],
    forward: (query, key, value) => nn.dotProductAttention(query!, key!, value!, options),
  };
}

function rowFormula({ numpy }: Jax, c: RowCase): Formula {
  const mean = (x: JaxArray) => numpy.mean(x, -1, { keepdims: true });
  const normed = (x: JaxArray, centres: boolean) => {
    const centred = centres ? x.ref.sub(mean(x)) : x;
    const variance = mean(centred.ref.mul(centred.ref));
    return centred.div(numpy.sqrt(variance.add(EPSILON)));
  };
  switch (c.op) {
    case 'matmul':
      return { inputs: ['a', 'b'], forward: (a, b) => numpy.matmul(a!, b!) };
    case 'rms norm':
      return { inputs: ['x', 'gamma'], forward: (x, gamma) => normed(x!, false).mul(gamma!) };
    case 'add layer norm':
      return {
        inputs: ['x', 'residual', 'gamma', 'beta'],
        forward: (x, residual, gamma, beta) =>
          normed(x!.add(residual!), true).mul(gamma!).add(beta!),
      };
    default:
      return {
        inputs: ['x', 'gamma', 'beta'],
        forward: (x, gamma, beta) => normed(x!, true).mul(gamma!).add(beta!),
      };
  }
}

function formulaOf(jax: Jax, c: Case): Formula | string {
  if (c.dtype === 'bfloat16') return 'no bfloat16';
  if (isAttention(c)) return attention(jax, c);
  if (c.op === 'bf16 pack') return `no ${c.op}`;
  return rowFormula(jax, c);
}

function shapeOf(c: Case, name: string): number[] {
  if (isAttention(c)) {
    const isKey = name === 'key' || name === 'value';
    return [c.batch, isKey ? c.keys : c.queries, isKey ? c.kvHeads : c.heads, c.dim];
  }
  return name === 'gamma' || name === 'beta' ? [c.columns] : [c.rows, c.columns];
}

function work(jax: Jax, c: Case, { inputs, forward }: Formula, arrays: Arrays): Work {
  const trains = c.mode !== 'forward';
  const names = trains ? [...inputs, isAttention(c) ? 'doutput' : 'dy'] : inputs;
  const operands = names.map((name) => jax.numpy.array(arrays[name]!, { shape: shapeOf(c, name) }));
  // A vector-Jacobian product, as tf.grads makes it.
  const loss = (...xs: JaxArray[]) =>
    forward(...xs.slice(0, -1))
      .mul(xs.at(-1)!)
      .sum();
  const argnums = inputs.map((_, n) => n);
  const compiled = trains
    ? jax.jit((...xs) => jax.grad(loss, { argnums })(...xs))
    : jax.jit((...xs) => [forward(...xs)]);
  const call = () => compiled(...operands.map(({ ref }) => ref));
  return {
    run: () => {
      for (const result of call()) result.gpuBufferSync();
    },
    outputs: async () => {
      const outputs: Record<string, Float32Array> = {};
      for (const [n, result] of call().entries()) {
        outputs[trains ? `d${inputs[n]}` : 'output'] = new Float32Array(await result.data());
      }
      return outputs;
    },
    release: () => {
      for (const operand of operands) operand.dispose();
    },
  };
}

/** @param url where its module is */
export async function jaxProvider(
  open: OpenDevice,
  url: string,
  version: string,
): Promise<Provider> {
  fillIn();
  const jax = (await import(url)) as Jax;
  const devices = await withOurDevice(open, () => jax.init('webgpu'));
  if (!devices.includes('webgpu')) throw new Error('it found no WebGPU');
  jax.defaultDevice('webgpu');
  return {
    versions: { '@jax-js/jax': version },
    prepare: (c, arrays) => {
      if (isModel(c)) return Promise.resolve('no model');
      const formula = formulaOf(jax, c);
      return Promise.resolve(typeof formula === 'string' ? formula : work(jax, c, formula, arrays));
    },
  };
}
