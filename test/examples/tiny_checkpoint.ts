// SPDX-License-Identifier: Apache-2.0
/** Checkpoints of tiny models, as Hugging Face lays them out; fixtures/generate.py has the same weights and their outputs. */
import { readFile } from 'node:fs/promises';

import { toBFloat16Bits, toFloat16Bits } from './half_bits.js';

export interface Case {
  config: Record<string, unknown>;
  tokens: number[][];
  types?: number[][];
  /** Of the weights, by their names. */
  shapes: Record<string, number[]>;
  /** Weights that are 1 more than others. */
  aroundOne: string[];
  outputs: { shape: number[]; values: number[] }[];
}

export const cases = JSON.parse(
  await readFile(new URL('fixtures/models.json', import.meta.url), 'utf8'),
) as Record<
  | 'qwen3'
  | 'qwen3 with biases and a head of its own'
  | 'gemma3'
  | 'gemma3 with capped scores'
  | 'bert',
  Case
>;

/** FNV-1a. */
function hash32(text: string): number {
  return [...new TextEncoder().encode(text)].reduce(
    (state, byte) => Math.imul(state ^ byte, 0x01000193) >>> 0,
    0x811c9dc5,
  );
}

/** The values of a weight, of few enough bits for bfloat16. */
function valuesOf(name: string, shape: readonly number[], isAroundOne: boolean): number[] {
  let state = hash32(name);
  const size = shape.reduce((product, n) => product * n, 1);
  return Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 25) - 64) / 128 + (isAroundOne ? 1 : 0);
  });
}

export type Dtype = 'F32' | 'F16' | 'BF16';

const BYTES_OF: Record<Dtype, (values: number[]) => Uint8Array> = {
  F32: (values) => new Uint8Array(Float32Array.from(values).buffer),
  F16: (values) => new Uint8Array(Uint16Array.from(values, toFloat16Bits).buffer),
  BF16: (values) => new Uint8Array(Uint16Array.from(values, toBFloat16Bits).buffer),
};

export interface Entry {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

/** A safetensors file. The header is not padded, so that data begin at odd places, too. */
export function safetensors(tensors: Record<string, Entry>): Blob {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.length), true);
  const data = Object.values(tensors).map(({ bytes }) => bytes as BlobPart);
  return new Blob([length.buffer, text, ...data]);
}

/** The tensors of a model, each in the next of the dtypes, in turns. */
export function tensorsOf({ shapes, aroundOne }: Case, dtypes: readonly Dtype[]) {
  const entries = Object.entries(shapes).map(([name, shape], index): [string, Entry] => {
    const dtype = dtypes[index % dtypes.length]!;
    const values = valuesOf(name, shape, aroundOne.includes(name));
    return [name, { dtype, shape, bytes: BYTES_OF[dtype](values) }];
  });
  return Object.fromEntries(entries);
}

const json = (value: unknown) => new Blob([JSON.stringify(value)]);

/** A checkpoint's files by their names: one with the weights, or `parts` of them with an index. */
export function filesOf(
  config: Record<string, unknown>,
  tensors: Record<string, Entry>,
  parts = 1,
): Map<string, Blob> {
  const files = new Map([['config.json', json(config)]]);
  if (parts === 1) return files.set('model.safetensors', safetensors(tensors));
  const names = Object.keys(tensors);
  const fileOf = (index: number) => `model-0000${(index % parts) + 1}-of-0000${parts}.safetensors`;
  const weightMap = Object.fromEntries(names.map((name, index) => [name, fileOf(index)]));
  for (let part = 0; part < parts; part++) {
    const own = names.filter((_, index) => index % parts === part);
    const held = Object.fromEntries(own.map((name) => [name, tensors[name]!]));
    files.set(fileOf(part), safetensors(held));
  }
  return files.set('model.safetensors.index.json', json({ metadata: {}, weight_map: weightMap }));
}
