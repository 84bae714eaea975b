// SPDX-License-Identifier: Apache-2.0
/** A case of a benchmark: what is computed, and how much work that is. */

/** `backward` is the difference of the other two, never a call of its own. */
export type Mode = 'forward' | 'forward + backward' | 'backward';
export type DType = 'float32' | 'bfloat16';

interface Common {
  mode: Mode;
  dtype: DType;
}

/**
 * `decoding` is attention of a few queries, whose limit is the reading of keys and values. A causal
 * mask is aligned bottom-right: the last query sees the last key.
 */
export interface AttentionCase extends Common {
  op: 'attention' | 'decoding';
  batch: number;
  heads: number;
  kvHeads: number;
  queries: number;
  keys: number;
  dim: number;
  causal: boolean;
  /** With a causal mask: how many keys a query sees, itself included. */
  window?: number;
}

export interface RowCase extends Common {
  op: 'layer norm' | 'rms norm' | 'add layer norm' | 'bf16 pack' | 'matmul';
  rows: number;
  columns: number;
}

export type Case = AttentionCase | RowCase;

export function isAttention(c: Case): c is AttentionCase {
  return c.op === 'attention' || c.op === 'decoding';
}

export function shapeOf(c: Case): string {
  if (!isAttention(c)) return `${c.rows}x${c.columns}`;
  const heads = c.heads === c.kvHeads ? `${c.heads}` : `${c.heads}/${c.kvHeads}`;
  const lengths = c.op === 'decoding' ? `Mq${c.queries} Mk${c.keys}` : `M${c.queries}`;
  return `B${c.batch} H${heads} ${lengths} D${c.dim}`;
}

export function maskOf(c: Case): string {
  if (!isAttention(c)) return '';
  if (!c.causal) return 'full';
  return c.window === undefined ? 'causal' : `window ${c.window}`;
}

/** What a pattern of the command line is looked for in. */
export function titleOf(c: Case): string {
  return [c.op, c.mode, shapeOf(c), c.dtype, maskOf(c)].filter(Boolean).join(' ');
}

/** The keys that query i sees: from the first up to, and not with, the second. */
export function visibleKeys(c: AttentionCase, i: number): [number, number] {
  if (!c.causal) return [0, c.keys];
  const end = Math.max(0, Math.min(i + 1 + c.keys - c.queries, c.keys));
  return [c.window === undefined ? 0 : Math.max(0, end - c.window), end];
}

/** (query, key) pairs of one head that the mask leaves. */
export function visiblePairs(c: AttentionCase): number {
  let pairs = 0;
  for (let i = 0; i < c.queries; i++) {
    const [begin, end] = visibleKeys(c, i);
    pairs += end - begin;
  }
  return pairs;
}

/**
 * Tensors of rows x columns that are read or written. Forward: x, y. Backward: x, dy, dx. With a
 * residual, forward: x, residual, y, sum; backward: sum, dy, dx, which is the residual's as well.
 */
function rowTensors({ op, mode }: RowCase): number {
  if (op === 'matmul') return 3;
  const tensors = { forward: op === 'add layer norm' ? 4 : 2, backward: 3 };
  return mode === 'forward + backward' ? tensors.forward + tensors.backward : tensors[mode];
}

/** Bytes that cannot be avoided: inputs read once, outputs written once, in the case's dtype. */
export function bytesOf(c: Case): number {
  const size = c.dtype === 'bfloat16' ? 2 : 4;
  if (!isAttention(c)) {
    if (c.op === 'bf16 pack') return 6 * c.rows * c.columns;
    return rowTensors(c) * size * c.rows * c.columns;
  }
  const query = c.batch * c.queries * c.heads * c.dim;
  const key = c.batch * c.keys * c.kvHeads * c.dim;
  const perMode = { forward: 2, 'forward + backward': 6, backward: 4 };
  return perMode[c.mode] * size * (query + key);
}

const FLOP_PER_PAIR = { forward: 4, 'forward + backward': 14, backward: 10 } as const;

/**
 * Operations: 4 B H (visible pairs) D forward, 2.5 times that backward. 0 for what memory limits,
 * which is judged by its bytes.
 */
export function flopOf(c: Case): number {
  if (c.op === 'matmul') return 2 * c.rows * c.columns * c.columns;
  if (!isAttention(c) || c.op === 'decoding') return 0;
  return FLOP_PER_PAIR[c.mode] * c.batch * c.heads * visiblePairs(c) * c.dim;
}
