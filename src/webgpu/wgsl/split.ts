// SPDX-License-Identifier: Apache-2.0
/**
 * Attention of few queries, its work shared out over the keys: what its programs have in common.
 *
 * Decoding reads every key and value once and computes little with them, so that one piece of work has
 * all query heads of a key/value head: its row r is query r / group of the block, head r % group of the
 * group. A piece of work is a tile of such rows and one of `splits` spans of the keys that they see.
 * It leaves, for each row,
 *
 *   parts = sum over its keys of weight * V, not divided     part_stats = (highest score, sum of weights)
 *
 * with scores in base 2. attention_split_merge.ts merges the spans.
 */
import { writes } from '../program.js';
import type { Program } from '../program.js';
import type { SplitTile } from '../split_tile.js';
import { ATTENTION_UNIFORMS, attentionInputs, attentionPrelude } from './attention.js';
import type { AttentionVariant } from './attention.js';
import { maskCode } from './mask.js';
import type { MaskLayout } from './mask.js';

export interface SplitVariant extends AttentionVariant {
  tile: SplitTile;
}

/** Uniforms of these programs, besides those of attention. */
export const SPLIT_UNIFORMS = { splits: 'u32', span: 'u32' } as const;

const SPLIT_CODE = /* wgsl */ `
fn group_size() -> i32 { return i32(uniforms.heads / uniforms.kv_heads); }
fn last_row(work: Work) -> i32 { return work.block.q_length * group_size() - 1; }
// Query of the block, and head, of row r of the work; the last one stands in for those past the end.
fn query_of(work: Work, r: i32) -> i32 { return min(work.first + r, last_row(work)) / group_size(); }
fn head_of(work: Work, r: i32) -> u32 {
  return work.head * u32(group_size()) + u32(min(work.first + r, last_row(work)) % group_size());
}
fn span_of(work: Work, split: u32) -> vec2i {
  let seen = visible_keys(work.block, query_of(work, 0), query_of(work, ROWS - 1) + 1);
  let first = seen.x + i32(split * uniforms.span);
  return vec2i(first, min(seen.y, first + i32(uniforms.span)));
}
`;

/** The mask's functions and those above, for a program that reads neither queries nor keys. */
export function splitMask(layout: MaskLayout, rows: number): string {
  return `const ROWS = ${rows};\n${maskCode(layout, rows, 'kv_heads')}\n${SPLIT_CODE}`;
}

/** What the programs of the pieces of work share; bindings after the inputs: parts, part_stats. */
export function splitPass(
  variant: SplitVariant,
): Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms' | 'workgroupSize'> & { prelude: string } {
  return {
    name: 'MemoryEfficientAttentionSplit',
    key: JSON.stringify(variant),
    bindings: [
      ...attentionInputs(variant),
      writes('parts', 'vec4<f32>'),
      writes('part_stats', 'vec2<f32>'),
    ],
    uniforms: { ...ATTENTION_UNIFORMS, ...SPLIT_UNIFORMS, pieces: 'u32' },
    workgroupSize: variant.tile.threads,
    prelude: `${attentionPrelude(variant, 'kv_heads')}\n${SPLIT_CODE}`,
  };
}
