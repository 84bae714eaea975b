// SPDX-License-Identifier: Apache-2.0
/**
 * Attention forward for few queries: bound by reading keys and values, so each is read once for all query heads, in the
 * order of memory: a few keys with all of their heads, then the next ones (head by head, rows of a head being far apart,
 * reading takes three times as long).
 *
 * A work item owns a stretch of the keys of one batch item (or mask block) and all of its heads and queries ("split-K",
 * as in Flash-Decoding, T. Dao and others, 2023). For each block of kDecodeKeys keys, with the rows r = (query head, query)
 *
 *     scores[r][j] = sum over d of query[r][d] key[j][d];   online softmax by row;   output[r] += sum of weights[r][j] value[j]
 *
 * Weights are float32, but for products on AMX tiles: see attention_decode_tiles.h.
 *
 * Each item leaves its maximum, sum and output rows in the workspace, and a second pass merges them in order. Where there
 * are many batch items or blocks, they are cut into fewer stretches: the workspace stays within kItems items or one for
 * each batch item or block. The stretches follow from the shapes and the mask alone, so any number of workers gives the
 * same bits. float32.
 */
#include "cpu/kernels/attention_decode.h"

#include "cpu/kernels/attention_decode_tiles.h"
#include "cpu/kernels/attention_output.h"

namespace tfxf {
namespace TFXF_ISA {

namespace {

/** Below the lanes of the widest vector. */
constexpr int64_t kDecodeQueries = 15;
/** Bytes of queries and outputs that an item may hold. */
constexpr int64_t kDecodeBytes = 1 << 20;
/** Keys beside which what else a stretch costs is little. Few keys make shorter ones, of whole blocks, up to kFewStretches. */
constexpr int64_t kGoodStretch = 256;
constexpr int64_t kFewStretches = 4;
constexpr int64_t kMaxStretches = 128;
/** Work items of a call, about, unless there are as many batch items or blocks. */
constexpr int64_t kItems = 1024;

int64_t max_queries(const AttentionArgs& args) {
  int64_t most = args.mask.num_blocks > 0 ? 0 : args.shape.queries;
  for (int64_t b = 0; b < args.mask.num_blocks; b++) {
    most = larger(most, args.mask.q_start[b + 1] - args.mask.q_start[b]);
  }
  return most;
}

int64_t max_keys(const AttentionArgs& args) {
  int64_t most = args.mask.num_blocks > 0 ? 0 : args.shape.keys;
  for (int64_t b = 0; b < args.mask.num_blocks; b++) most = larger(most, args.mask.k_length[b]);
  return most;
}

/** Whether keys and values, in bfloat16, may be read into tiles where they lie: whole tiles at a fixed distance. */
bool decodes_on_tiles(const AttentionArgs& args, int64_t rows) {
#if defined(__AMX_BF16__)
  const AttentionShape& shape = args.shape;
  const bool whole = rows > 0 && shape.key_dim % kTileDepth == 0 && shape.value_dim % kTileDepth == 0;
  return whole && decodes_bfloat16(args) && args.value.dtype == DType::kBFloat16 && args.mask.page_size % kTileSide == 0;
#else
  (void)args;
  (void)rows;
  return false;
#endif
}

DecodePlan plan_of(const AttentionArgs& args) {
  const AttentionShape& shape = args.shape;
  DecodePlan plan;
  plan.queries = max_queries(args);
  plan.rows = plan.queries * shape.heads;
  plan.key_stride = whole_vectors(shape.key_dim);
  plan.value_stride = whole_vectors(shape.value_dim);
  plan.slices = args.mask.num_blocks > 0 ? args.mask.num_blocks : shape.batch;
  const int64_t keys = larger(max_keys(args), 1);
  const int64_t most = smaller(larger(kItems / larger(plan.slices, 1), 1), kMaxStretches);
  const int64_t stretch = larger(divide_up(keys, most), smaller(divide_up(keys, kFewStretches), kGoodStretch));
  plan.stretch = divide_up(stretch, kDecodeKeys) * kDecodeKeys;
  plan.stretches = divide_up(keys, plan.stretch);
  plan.partial_floats = plan.rows * (plan.value_stride + 2);
  const int64_t blocks = args.bias.kind == BiasKind::kNone ? 1 : 2;
  plan.scratch_floats = whole_lines(plan.rows * (plan.key_stride + kNearFloats + blocks * kDecodeKeys) +
                                    kDecodeChunk * plan.value_stride);
  plan.on_tiles = decodes_on_tiles(args, plan.rows);
  plan.tiles_begin = plan.scratch_floats;
  plan.unit = plan.on_tiles ? kTileWeightUnit : 1.0f;
#if defined(__AMX_BF16__)
  if (plan.on_tiles) plan.scratch_floats += whole_lines(decode_tiles(args, plan.rows / shape.kv_heads).words());
#endif
  return plan;
}

/** Rows of values may be read where they lie: whole vectors at a fixed distance. */
bool values_in_place(const AttentionArgs& args) {
  return args.mask.page_size == 0 && args.shape.value_dim % kWidth == 0;
}

/** With `apart`, values that are infinite or NaN reach only the queries that see them; else they lie in place. */
void attend_stretch(const DecodeItem& item, const DecodePlan& plan, int64_t begin, int64_t end, bool apart) {
  copy_queries(item, plan);
  clear_sums(item, plan);
#if defined(__AMX_BF16__)
  if (plan.on_tiles) return attend_on_tiles(item, plan, begin, end, apart);
#endif
  memset(item.output, 0, static_cast<size_t>(plan.rows * plan.value_stride) * 4);
  for (int64_t j0 = begin; j0 < end; j0 += kDecodeKeys) {
    attend_decode_block(item, plan, j0, smaller(j0 + kDecodeKeys, end), apart);
  }
}

/** One stretch of keys of one slice, into its partial results. */
void run_stretch(const AttentionForwardArgs& args, const DecodePlan& plan, int64_t slice,
                 int64_t stretch, float* scratch, float* partial) {
  const AttentionArgs& common = args.common;
  const DecodeItem item = decode_item(common, plan, slice, scratch, partial);
  const MaskBlock& block = item.block;
  const Interval seen = visible_keys(common.mask, block, 0, larger(block.q_length, 1));
  const int64_t first = stretch * plan.stretch;
  const int64_t hidden = larger(seen.begin - first, 0) / kDecodeKeys * kDecodeKeys;
  const int64_t begin = first + hidden, end = smaller(first + plan.stretch, seen.end);
  if (begin >= end) return clear_sums(item, plan);
  const bool in_place = plan.on_tiles || values_in_place(common);
  attend_stretch(item, plan, begin, end, !in_place);
  // 0 times an infinite value that a query does not see is NaN: then once more.
  if (in_place && output_is_spoilt(item, plan)) attend_stretch(item, plan, begin, end, true);
}

/** Joins the stretches of one query of one head: `row` counts h * queries + i, as in the partial results. */
void merge_row(const AttentionForwardArgs& args, const DecodePlan& plan, int64_t slice, int64_t row,
               const float* partials, float* total) {
  const AttentionShape& shape = args.common.shape;
  const int64_t h = row / plan.queries, i = row % plan.queries;
  const bool dense = args.common.mask.num_blocks == 0;
  const MaskBlock block = block_of(args.common.mask, dense ? 0 : slice, shape.queries, shape.keys);
  if (i >= block.q_length) return;
  const int64_t b = dense ? slice : 0, query = block.q_start + i;
  float max = kHidden, sum = 0.0f;
  for (int64_t d = 0; d < plan.value_stride; d += kWidth) store(total + d, Vf{});
  const auto part = [&](int64_t s) { return partials + (slice * plan.stretches + s) * plan.partial_floats; };
  for (int64_t s = 0; s < plan.stretches; s++) {
    const float m = part(s)[row];
    if (!(m <= max)) max = m;  // NaN too
  }
  for (int64_t s = 0; s < plan.stretches; s++) {
    const float* p = part(s);
    if (p[row] == kHidden && p[plan.rows + row] == 0.0f) continue;
    const float factor = static_cast<float>(exp_of(static_cast<double>(p[row]) - max));
    sum += p[plan.rows + row] * factor;
    const float* output = p + 2 * plan.rows + row * plan.value_stride;
    for (int64_t d = 0; d < plan.value_stride; d += kWidth) {
      store(total + d, fma(load(output + d), splat(factor), load(total + d)));
    }
  }
  const float* sink = args.common.sink == nullptr ? nullptr : args.common.sink + h;
  const RowEnd end = end_of_row(max, sum, plan.unit, sink);
  args.log_sum_exp[(b * shape.heads + h) * shape.queries + query] = end.log_sum_exp;
  const int64_t bytes = row_elements(args.output_dtype, shape.value_dim) * element_bytes(args.output_dtype);
  char* out = static_cast<char*>(args.output) + ((b * shape.queries + query) * shape.heads + h) * bytes;
  for (int64_t d = 0; d < shape.value_dim; d += kWidth) {
    store_columns(out, args.output_dtype, d, shape.value_dim, load(total + d) * end.scale);
  }
}

}  // namespace

bool is_decoding(const AttentionArgs& args) {
  const int64_t queries = max_queries(args);
  const int64_t bytes = queries * args.shape.heads * 4 *
                        (whole_vectors(args.shape.key_dim) + whole_vectors(args.shape.value_dim));
  return queries <= kDecodeQueries && bytes <= kDecodeBytes;
}

int64_t decode_workspace(const AttentionArgs& args, int workers) {
  const DecodePlan plan = plan_of(args);
  return 4 * (workers * plan.scratch_floats + plan.slices * plan.stretches * plan.partial_floats);
}

void decode_forward(const AttentionForwardArgs& args, const Parallel& parallel) {
  const DecodePlan plan = plan_of(args.common);
  float* scratch = static_cast<float*>(args.workspace);
  float* partials = scratch + parallel.workers * plan.scratch_floats;
  parallel_for(parallel, plan.slices * plan.stretches, [&](int64_t index, int worker) {
    run_stretch(args, plan, index / plan.stretches, index % plan.stretches,
                scratch + worker * plan.scratch_floats, partials + index * plan.partial_floats);
  });
  const int64_t rows_per_item = 16;
  const int64_t items = divide_up(plan.rows, rows_per_item);
  parallel_for(parallel, plan.slices * items, [&](int64_t index, int worker) {
    const int64_t slice = index / items, first = index % items * rows_per_item;
    const int64_t last = smaller(first + rows_per_item, plan.rows);
    for (int64_t row = first; row < last; row++) {
      merge_row(args, plan, slice, row, partials, scratch + worker * plan.scratch_floats);
    }
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
