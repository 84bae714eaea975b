// SPDX-License-Identifier: Apache-2.0
/**
 * Attention of few queries (wgsl/split.ts) for GPUs: a workgroup has a tile of rows and a span of keys,
 * and takes `keys` of them at a time. Every key and value is read from memory once, as it is stored
 * (bfloat16 packed), and never put into workgroup memory: that would be written and read for one use.
 *
 *   1. Scores. `columnThreads` neighbouring threads share a key and read its quads side by side, so that
 *      each reads whole sectors of memory; a thread has keys * rows / (threads / columnThreads) = 16 dot
 *      products in registers, and one read of a query's quad serves all its keys. Its share of the sums
 *      goes to workgroup memory, in planes whose pitch puts the sharers into different banks.
 *   2. Weights. threads / rows threads share a row; the highest score is found in workgroup memory.
 *   3. Values. A thread has one quad of every row's output and each so-manieth key: neighbours read
 *      neighbouring quads, weights are read by all alike.
 *
 * Three barriers for `keys` keys. Workgroup memory: columnThreads * rows * keys + rows * keys + threads
 * floats, 11 KB at 128 threads, so that several workgroups share a core and hide each other's waits.
 * With `rows` rows a byte of float32 K or V meets rows / 2 multiply-adds: up to 16 rows memory is the
 * limit on most GPUs, hence no larger tiles. Scores, weights and sums are float32.
 *
 * Online softmax as in attention_forward.ts; split over keys as in Flash-Decoding (Dao et al. 2023).
 */
import type { Program } from '../program.js';
import { splitPlane, splitPlanes } from '../split_tile.js';
import { fullTile } from '../wgsl/attention.js';
import { splitPass } from '../wgsl/split.js';
import type { SplitVariant } from '../wgsl/split.js';
import { quadsOf } from '../wgsl/tensor.js';

export function attentionSplitProgram(variant: SplitVariant): Program {
  const { v, dropout, tile } = variant;
  const { rows, keys, threads, columnThreads } = tile;
  const { prelude, ...shared } = splitPass(variant);
  return {
    ...shared,
    code: () => /* wgsl */ `
${prelude}
const SHARERS = ${columnThreads}u; // threads to a key
const SLOTS = ${threads / columnThreads}u;   // keys at a time
const OWN_KEYS = ${(keys * columnThreads) / threads};  // keys of a thread: its slot + SLOTS * n
const PLANE = ${splitPlane(tile)}u; // eight keys further in the banks
const ROW_THREADS = ${threads / rows}u; // threads to a row
const CELLS = ${(keys * rows) / threads};     // weights of a thread
const SLICES = ${Math.floor(threads / quadsOf(v))}u;    // threads to a quad of V
var<workgroup> planes: array<f32, ${splitPlanes(tile)}>;
var<workgroup> weights: array<f32, ${keys * rows}>;
var<workgroup> of_threads: array<f32, ${threads}>;
var<workgroup> shrinks: array<f32, ${rows}>;

fn run(group: u32, lane: u32) {
  let work = locate(group / uniforms.splits);
  let block = work.block;
  let kv_head = work.head;
  let range = span_of(work, group % uniforms.splits);
  let i0 = query_of(work, 0);
  let i1 = query_of(work, ROWS - 1) + 1;
  let sharer = lane % SHARERS;
  let slot = lane / SHARERS;
  let own_row = lane / ROW_THREADS; // of the weights
  let own_cell = lane % ROW_THREADS;
  let own_query = query_of(work, i32(own_row));
  let own_head = head_of(work, i32(own_row));
  let own_quad = lane % V4;         // of the values
  let slice = lane / V4;
  ${dropout ? 'let drop_row = row_key(work.batch, own_head, u32(block.q_start + own_query));' : ''}

  var q_rows = array<u32, ROWS>();
  for (var r = 0; r < ROWS; r++) { q_rows[r] = q_row(work, head_of(work, r), query_of(work, r)); }
  var running_max = HIDDEN;
  var running_sum = 0.0; // of the thread's own cells
  var acc = array<vec4f, ROWS>();
  for (var first = range.x; first < range.y; first += KEYS) {
    let full = ${fullTile(variant, 'i0', 'i1', 'first', 'first + KEYS')};
    var k_rows = array<u32, OWN_KEYS>();
    for (var n = 0; n < OWN_KEYS; n++) {
      k_rows[n] = k_row(work, kv_head, min(first + i32(slot) + i32(SLOTS) * n, range.y - 1));
    }
    var s = array<array<f32, OWN_KEYS>, ROWS>();
    for (var quad = sharer; quad < K4; quad += SHARERS) {
      var own_keys = array<vec4f, OWN_KEYS>();
      for (var n = 0; n < OWN_KEYS; n++) { own_keys[n] = k_at(k_rows[n], quad); }
      for (var r = 0; r < ROWS; r++) {
        let query = q_at(q_rows[r], quad);
        for (var n = 0; n < OWN_KEYS; n++) { s[r][n] += dot(query, own_keys[n]); }
      }
    }
    for (var r = 0; r < ROWS; r++) {
      for (var n = 0; n < OWN_KEYS; n++) {
        planes[sharer * PLANE + u32(r * KEYS) + slot + SLOTS * u32(n)] = s[r][n];
      }
    }
    workgroupBarrier();
    var cells = array<f32, CELLS>();
    var highest = running_max;
    for (var n = 0; n < CELLS; n++) {
      let column = own_cell + ROW_THREADS * u32(n);
      var sum = 0.0;
      for (var p = 0u; p < SHARERS; p++) { sum += planes[p * PLANE + own_row * u32(KEYS) + column]; }
      let j = first + i32(column);
      let seen = full || (j < range.y && visible(block, own_query, j));
      cells[n] = score(capped(sum), work.batch, own_head, u32(block.q_start + own_query), u32(j), seen);
      highest = max(highest, cells[n]);
    }
    of_threads[lane] = highest;
    workgroupBarrier();
    for (var n = 0u; n < ROW_THREADS; n++) { highest = max(highest, of_threads[own_row * ROW_THREADS + n]); }
    let shrink = exp2(running_max - highest);
    running_max = highest;
    running_sum *= shrink;
    for (var n = 0; n < CELLS; n++) {
      let column = own_cell + ROW_THREADS * u32(n);
      var p = select(exp2(cells[n] - highest), 0.0, is_hidden(cells[n]));
      running_sum += p;
      ${dropout ? 'if (p > 0.0) { p *= keep_scale(drop_row, key_row(block, first + i32(column))); }' : ''}
      weights[column * u32(ROWS) + own_row] = p;
    }
    if (own_cell == 0u) { shrinks[own_row] = shrink; }
    workgroupBarrier();
    for (var r = 0; r < ROWS; r++) { acc[r] *= shrinks[r]; }
    if (slice < SLICES) {
      let columns = u32(min(KEYS, range.y - first));
      for (var column = slice; column < columns; column += SLICES) {
        let value = v_at(v_row(work, kv_head, first + i32(column)), own_quad);
        for (var r = 0; r < ROWS; r++) {
          let p = weights[column * u32(ROWS) + u32(r)];
          // A hidden key's value may be NaN or infinite, and zero times that is not zero.
          acc[r] += select(vec4f(0.0), p * value, full || p > 0.0);
        }
      }
    }
  }
  of_threads[lane] = running_sum;
  workgroupBarrier();
  if (own_cell == 0u) {
    var total = 0.0;
    for (var n = 0u; n < ROW_THREADS; n++) { total += of_threads[lane + n]; }
    part_stats[group * u32(ROWS) + own_row] = vec2f(running_max, total);
  }
  for (var r = 0; r < ROWS; r++) {
    for (var n = 0u; n < 4u; n++) { planes[n * WORKGROUP_SIZE + lane] = acc[r][n]; }
    workgroupBarrier();
    if (lane < V4) {
      var sum = vec4f(0.0);
      for (var other = lane; other < SLICES * V4; other += V4) {
        sum += vec4f(planes[other], planes[WORKGROUP_SIZE + other],
                     planes[2u * WORKGROUP_SIZE + other], planes[3u * WORKGROUP_SIZE + other]);
      }
      parts[(group * u32(ROWS) + u32(r)) * V4 + lane] = sum;
    }
    workgroupBarrier();
  }
}`,
  };
}
