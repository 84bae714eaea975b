// SPDX-License-Identifier: Apache-2.0
/**
 * spec/mask.ts in WGSL: which block a piece of work is in, which keys a tile of queries sees and the
 * other way round, and `visible` for the elements of tiles that are neither all in nor all out.
 *
 * Dense: block b is batch item b. Blocked: `meta_data` (see schedule.ts) lists the tiles, so that no
 * tile spans two blocks, and the blocks' places. Positions count from the start of the block.
 */
export type MaskLayout = 'dense' | 'blocked' | 'paged';

/** Uniforms of the mask, besides those of the tensors' sizes. */
export const MASK_UNIFORMS = {
  batch: 'u32',
  queries: 'u32',
  keys: 'u32',
  heads: 'u32',
  kv_heads: 'u32',
  window_left: 'i32',
  window_right: 'i32',
  bottom_right: 'u32',
  tiles: 'u32',
  block_offset: 'u32',
  table_offset: 'u32',
  page_size: 'u32',
} as const;

const COMMON = /* wgsl */ `
struct Block {
  q_start: i32, q_length: i32, k_start: i32, k_length: i32,
  shift: i32,   // of the diagonal, to the right
  table: i32,   // first entry of the block's page table
}
// One piece of work: rows first … of a block, for one batch item and head.
struct Work { block: Block, batch: u32, head: u32, first: i32 }
fn make_block(q_start: i32, q_length: i32, k_start: i32, k_length: i32, table: i32) -> Block {
  let shift = select(0, k_length - q_length, uniforms.bottom_right == 1u);
  return Block(q_start, q_length, k_start, k_length, shift, table);
}
// All tests are made at once: the && of WGSL is a branch, which costs more than a comparison.
fn visible(block: Block, i: i32, j: i32) -> bool {
  let distance = j - i - block.shift;
  return (j >= 0) & (j < block.k_length) & (i < block.q_length) &
      (-uniforms.window_left <= distance) & (distance <= uniforms.window_right);
}
fn all_visible(block: Block, i0: i32, i1: i32, j0: i32, j1: i32) -> bool {
  return (j0 >= 0) & (j1 <= block.k_length) & (i1 <= block.q_length) &
      (-uniforms.window_left <= j0 - (i1 - 1) - block.shift) &
      ((j1 - 1) - i0 - block.shift <= uniforms.window_right);
}
fn visible_keys(block: Block, i0: i32, i1: i32) -> vec2i {
  return vec2i(max(0, i0 + block.shift - uniforms.window_left),
               min(block.k_length, i1 + block.shift + uniforms.window_right));
}
fn visible_queries(block: Block, j0: i32, j1: i32) -> vec2i {
  return vec2i(max(0, j0 - block.shift - uniforms.window_right),
               min(block.q_length, j1 - block.shift + uniforms.window_left));
}
`;

/** A piece of work by its number; the tiles are those of `rows` queries (or keys), `heads` a uniform's name. */
function locate(layout: MaskLayout, rows: number, heads: string): string {
  if (layout === 'dense') {
    // Late tiles see the most keys under a causal mask, so they go first.
    return /* wgsl */ `
fn locate(item: u32) -> Work {
  let tile = uniforms.tiles - 1u - item % uniforms.tiles;
  let slice = item / uniforms.tiles;
  let block = make_block(0, i32(uniforms.queries), 0, i32(uniforms.keys), 0);
  return Work(block, slice / uniforms.${heads}, slice % uniforms.${heads}, i32(tile) * ${rows});
}`;
  }
  return /* wgsl */ `
fn locate(item: u32) -> Work {
  let tile = item % uniforms.tiles;
  let at = uniforms.block_offset + 5u * u32(meta_data[2u * tile]);
  let block = make_block(meta_data[at], meta_data[at + 1u], meta_data[at + 2u],
                         meta_data[at + 3u], meta_data[at + 4u]);
  return Work(block, 0u, item / uniforms.tiles, meta_data[2u * tile + 1u]);
}`;
}

const PAGED_KEY_ROW = /* wgsl */ `
fn key_row(block: Block, j: i32) -> u32 {
  let page = u32(j) / uniforms.page_size;
  let place = meta_data[uniforms.table_offset + u32(block.table) + page];
  return u32(place) * uniforms.page_size + u32(j) % uniforms.page_size;
}`;

const KEY_ROW = /* wgsl */ `
fn key_row(block: Block, j: i32) -> u32 { return u32(block.k_start + j); }`;

/** Mask functions for tiles of `rows` queries or keys. */
export function maskCode(layout: MaskLayout, rows: number, heads: 'heads' | 'kv_heads'): string {
  return COMMON + locate(layout, rows, heads) + (layout === 'paged' ? PAGED_KEY_ROW : KEY_ROW);
}
