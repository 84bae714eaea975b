// SPDX-License-Identifier: Apache-2.0
/**
 * Attention forward for many queries (attention_decode.cc has few):
 *
 *     output = softmax(scores) value      log_sum_exp = log(sum of exp(scores))
 *
 * in linear memory, by blocks of keys with an online softmax (T. Dao, "FlashAttention-2", 2023), laid out for vectors:
 * queries are lanes. A work item owns up to kMaxPanels panels of kTileColumns queries of one batch item, head and
 * mask block. For each block of key_block keys it copies keys and values into contiguous tiles (once for all of its
 * panels) and, panel by panel, computes
 *
 *     scores[j][i] = sum over d of key[j][d] query[d][i]          (keys are broadcast, queries transposed once)
 *     weights      = exp(scores - max), the maximum and the sum per lane
 *     output[d][i] += sum over j of value[j][d] weights[j][i]
 *
 * so that no tile of keys or weights is ever transposed and the softmax needs nothing across lanes. Scratch for each
 * worker: the transposed queries and the output of its panels, one block of keys and values, one tile of scores; all of
 * it fits in the second-level cache. Sums are float32: over a block of keys in registers, then over the blocks.
 *
 * Where the processor has tiles, products go through them: attention_forward_tiles.h. Key blocks begin at multiples of
 * key_block whatever the item, so the number of workers does not change a bit.
 */
#include "cpu/kernels/attention_forward.h"

#include "cpu/kernels/attention_decode.h"
#include "cpu/kernels/attention_forward_tiles.h"
#include "cpu/kernels/attention_items.h"
#include "cpu/kernels/attention_output.h"

namespace tfxf {
namespace TFXF_ISA {

namespace {

/** Floats of the queries of a panel. */
int64_t panel_query_floats(const AttentionArgs& args) {
#if defined(__AMX_BF16__)
  if (uses_tiles(args)) return input_terms(args) * query_term(args);
#endif
  return whole_vectors(args.shape.key_dim) * kTileColumns;
}

/** Panels of an item: as many as share a block of keys well, yet leave items for every worker. */
int64_t panels_per_item(const AttentionArgs& args, int workers) {
  const AttentionShape& shape = args.shape;
  const int64_t panel_bytes = (panel_query_floats(args) + shape.value_dim * kTileColumns) * 4;
  const int64_t fitting = larger((uses_tiles(args) ? kTilePanelBytes : kPanelBytes) / panel_bytes, 1);
  const int64_t panels = divide_up(shape.queries, kTileColumns) * shape.batch * shape.heads;
  const int64_t shared = divide_up(panels, 4 * static_cast<int64_t>(workers));
  return larger(smaller(smaller(fitting, shared), kMaxPanels), 1);
}

/** Where the parts of a worker's scratch begin; `floats` is the size of all. */
struct ScratchLayout {
  int64_t queries, outputs, max, sum, highest, keys, values, scores, bias, weights, floats;
};

ScratchLayout scratch_layout(const AttentionArgs& args, int64_t panels) {
  const int64_t k = args.shape.key_dim, v = args.shape.value_dim, keys = key_block(args);
  ScratchLayout at = {};
  const auto take = [&at](int64_t floats) {
    const int64_t begin = at.floats;
    at.floats += whole_lines(floats);
    return begin;
  };
  at.queries = take(panels * panel_query_floats(args));
  at.outputs = take(panels * whole_vectors(v) * kTileColumns);
  at.max = take(panels * kTileColumns);
  at.sum = take(panels * kTileColumns);
  at.highest = take(panels * kTileColumns);
  at.scores = take(keys * kTileColumns);
  at.bias = take(args.bias.kind == BiasKind::kNone ? 0 : keys * kTileColumns);
#if defined(__AMX_BF16__)
  if (uses_tiles(args)) {
    at.keys = take(input_terms(args) * key_term(args));
    at.values = take(input_terms(args) * value_term(args));
    at.weights = take(computed_terms(args) * kTermWeights);
    return at;
  }
#endif
  at.keys = take(keys * tile_stride(k));
  at.values = take(keys * tile_stride(v));
  return at;
}

/** Copies the queries of a panel and clears its state. */
void begin_panel(const ForwardItem& item, ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
#if defined(__AMX_BF16__)
  if (uses_tiles(args)) {
    copy_query_tiles(item, state);
  } else {
    copy_queries(item, state);
  }
#else
  copy_queries(item, state);
#endif
  const int64_t floats = whole_vectors(args.shape.value_dim) * kTileColumns;
  for (int64_t x = 0; x < floats; x += kWidth) store(state.output + x, Vf{});
  for (int64_t x = 0; x < kTileColumns; x += kWidth) {
    store(state.softmax.max + x, splat(kHidden));
    store(state.highest + x, splat(kHidden));
    store(state.softmax.sum + x, Vf{});
  }
}

/** Writes the output and logSumExp of a panel. */
void finish_panel(const ForwardItem& item, const ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const AttentionShape& shape = args.shape;
  if (uses_tiles(args)) {
    for (int64_t v = 0; v < state.panel.vectors; v++) {
      raise_max(state.softmax, v, load(state.highest + v * kWidth), state.output, output_layout(args), shape.value_dim);
    }
  }
  const float unit = uses_tiles(args) ? kTileWeightUnit : 1.0f;
  const float* sink = args.sink == nullptr ? nullptr : args.sink + item.h;
  const int64_t first = item.block.q_start + state.panel.first;
  float* log_sum_exp = item.args->log_sum_exp + (item.b * shape.heads + item.h) * shape.queries + first;
  for (int64_t lane = 0; lane < state.panel.count; lane++) {
    const RowEnd end = end_of_row(state.softmax.max[lane], state.softmax.sum[lane], unit, sink);
    log_sum_exp[lane] = end.log_sum_exp;
    state.softmax.sum[lane] = end.scale;
  }
  const DType dtype = item.args->output_dtype;
  const int64_t bytes = row_elements(dtype, shape.value_dim) * element_bytes(dtype);
  char* output = static_cast<char*>(item.args->output);
  const auto row = [&](int64_t lane) {
    return output + ((item.b * shape.queries + first + lane) * shape.heads + item.h) * bytes;
  };
  store_panel(state.output, output_layout(args), shape.value_dim, state.panel.count, state.softmax.sum, dtype, row);
}

void run_item(ForwardItem& item, const ScratchLayout& at, float* scratch, int64_t first,
              int64_t count) {
  const AttentionArgs& args = item.args->common;
  ForwardPanel panels[kMaxPanels];
  int64_t panel_count = 0;
  for (int64_t row = first; row < first + count; row += kTileColumns) {
    const int64_t rows = smaller(kTileColumns, first + count - row);
    ForwardPanel& state = panels[panel_count];
    state.panel = {row, rows, divide_up(rows, kWidth)};
    state.query = scratch + at.queries + panel_count * panel_query_floats(args);
    state.output = scratch + at.outputs + panel_count * whole_vectors(args.shape.value_dim) * kTileColumns;
    state.softmax = {scratch + at.max + panel_count * kTileColumns,
                     scratch + at.sum + panel_count * kTileColumns};
    state.highest = scratch + at.highest + panel_count * kTileColumns;
    begin_panel(item, state);
    panel_count++;
  }
  item.keys = scratch + at.keys;
  item.values = scratch + at.values;
  item.scores = scratch + at.scores;
  item.bias = scratch + at.bias;
  item.weights = reinterpret_cast<uint32_t*>(scratch + at.weights);
  const Interval keys = visible_keys(args.mask, item.block, first, first + count);
  const int64_t block = key_block(args);
  int64_t begin = keys.begin;
  auto copy_block = copy_key_block;
  auto attend_block = attend_key_block;
#if defined(__AMX_BF16__)
  const TileScope tiles;
  if (uses_tiles(args)) {
    copy_block = copy_key_block_tiles;
    attend_block = attend_key_block_tiles;
    begin = begin / kTileKeys * kTileKeys;
  }
#endif
  for (int64_t j0 = keys.begin / block * block; j0 < keys.end; j0 += block) {
    item.j0 = larger(j0, begin);
    item.j1 = smaller(j0 + block, keys.end);
    const int64_t next = smaller(item.j1 + block, keys.end);
    copy_block(item);
    const int64_t share = divide_up(next - item.j1, panel_count);
    for (int64_t p = 0; p < panel_count; p++) {
      const int64_t from = item.j1 + p * share;
      prefetch_keys(item, from, smaller(from + share, next));
      attend_block(item, panels[p]);
    }
  }
  for (int64_t p = 0; p < panel_count; p++) finish_panel(item, panels[p]);
}

}  // namespace

int64_t attention_forward_workspace(const AttentionArgs& args, int workers) {
  if (is_decoding(args)) return decode_workspace(args, workers);
  const int64_t floats = scratch_layout(args, panels_per_item(args, workers)).floats;
  return item_table_bytes(args) + workers * floats * 4;
}

void attention_forward(const AttentionForwardArgs& args, const Parallel& parallel) {
  const AttentionArgs& common = args.common;
  if (is_decoding(common)) {
    decode_forward(args, parallel);
    return;
  }
  const int64_t panels = panels_per_item(common, parallel.workers);
  const ScratchLayout at = scratch_layout(common, panels);
  const ItemTable items = make_item_table(common, panels * kTileColumns, args.workspace);
  float* scratch = reinterpret_cast<float*>(static_cast<char*>(args.workspace) + item_table_bytes(common));
  parallel_for(parallel, items.count, [&](int64_t index, int worker) {
    const QueryItem query = query_item(common, items, index);
    ForwardItem item = {};
    item.args = &args;
    item.block = query.block;
    item.b = query.b;
    item.h = query.h;
    item.kv_head = query.h / (common.shape.heads / common.shape.kv_heads);
    run_item(item, at, scratch + worker * at.floats, query.first, query.count);
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
