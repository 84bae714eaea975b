// SPDX-License-Identifier: Apache-2.0
/** From an attention case to its inputs, and to the problem that the reference solves. */
import type { AttentionCase } from '../cases/attention.js';
import { sizeOf } from '../../src/spec/shape.js';
import { draw, drawTensor } from './draw.js';
import { allowedCells } from './reference_mask.js';
import type { AttentionProblem } from './reference_attention.js';

export interface SeededAttention {
  readonly problem: AttentionProblem;
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly shapes: { query: number[]; key: number[]; value: number[]; output: number[] };
  readonly doutput: Float32Array;
  readonly dlogSumExp: Float32Array | null;
  readonly bias: { values: Float32Array; shape: number[] } | null;
  readonly visible: { values: Uint8Array; shape: number[] } | null;
  readonly sink: Float32Array | null;
}

/** 'B1QK' -> [B, 1, Mq, Mk]. */
function broadcastShape(code: string, [b, mq, mk, h]: readonly number[]): number[] {
  const sizes: Record<string, number> = { B: b!, H: h!, Q: mq!, K: mk!, '1': 1 };
  return [...code].map((letter) => sizes[letter]!);
}

/** Shapes of rank 3, 4 or 5 of the same row-major data. */
function shapesOf(c: AttentionCase): SeededAttention['shapes'] {
  const [b, mq, mk, h, g, k, v] = c.dims as number[] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (c.rank === 3) {
    return { query: [b, mq, k], key: [b, mk, k], value: [b, mk, v], output: [b, mq, v] };
  }
  if (c.rank === 5) {
    const groups = c.groups!;
    const q = [b, mq, groups, h / groups];
    const kv = [b, mk, groups, g / groups];
    return { query: [...q, k], key: [...kv, k], value: [...kv, v], output: [...q, v] };
  }
  return { query: [b, mq, h, k], key: [b, mk, g, k], value: [b, mk, g, v], output: [b, mq, h, v] };
}

function drawBias(c: AttentionCase): SeededAttention['bias'] {
  const code = c.attnBias?.shape ?? (c.biasKind === 'bool' ? undefined : c.biasShape);
  if (!code) return null;
  const shape = broadcastShape(code, c.dims);
  const values = drawTensor(c.seed + 4, shape, 'float32', 1.5);
  if (c.attnBias?.negInf) {
    const [, , mq, mk] = shape as [number, number, number, number];
    for (let i = 0; i < mq - 1; i++) values.fill(-Infinity, i * mk, i * mk + mk - 1);
  }
  return { values, shape };
}

/** About a third is hidden, and the first query sees nothing where each has its own cells. */
function drawVisible(c: AttentionCase): SeededAttention['visible'] {
  if (c.biasKind !== 'bool') return null;
  const shape = broadcastShape(c.biasShape!, c.dims);
  const values = Uint8Array.from(draw(c.seed + 5, sizeOf(shape)), (x) => (x > -0.5 ? 1 : 0));
  if (shape[2]! > 1) values.fill(0, 0, shape[3]!);
  return { values, shape };
}

export function seedAttention(c: AttentionCase): SeededAttention {
  const [batch, queries, keys, heads, kvHeads, keyDim, valueDim] = c.dims as number[] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const shapes = shapesOf(c);
  const query = drawTensor(c.seed, shapes.query, c.dtype, c.qscale);
  const key = drawTensor(c.seed + 1, shapes.key, c.dtype);
  const value = drawTensor(c.seed + 2, shapes.value, c.dtype);
  const bias = drawBias(c);
  const visible = drawVisible(c);
  const sink = c.sink ? drawTensor(c.seed + 6, [heads]) : null;
  const problem: AttentionProblem = {
    batch,
    queries,
    keys,
    heads,
    kvHeads,
    keyDim,
    valueDim,
    query,
    key,
    value,
    scale: c.scale ?? 1 / Math.sqrt(keyDim),
    allowed: allowedCells(c.attnBias, queries, keys),
    ...(bias && { bias }),
    ...(visible && { visible }),
    ...(sink && { sink }),
    ...(c.softcap && { softcap: c.softcap }),
    ...(c.p && { dropout: { p: c.p, seed: c.seed } }),
  };
  return {
    problem,
    query,
    key,
    value,
    shapes,
    bias,
    visible,
    sink,
    doutput: drawTensor(c.seed + 3, shapes.output, c.dtype),
    dlogSumExp: c.dlogSumExp ? draw(c.seed + 7, batch * heads * queries) : null,
  };
}
