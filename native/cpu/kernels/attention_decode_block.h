// SPDX-License-Identifier: Apache-2.0
/** What attention_decode.cc does with one block of at most kDecodeKeys keys of all heads. */
#pragma once

#include "cpu/kernels/attention_decode_scores.h"
#include "cpu/kernels/attention_softmax.h"

namespace tfxf {
namespace TFXF_ISA {

/** Sizes that all items of a call share; strides and sizes in floats. */
struct DecodePlan {
  int64_t queries;     // the most that a slice has
  int64_t rows;        // heads * queries: row h * queries + i is query i of head h
  int64_t key_stride, value_stride;
  int64_t stretch, stretches;  // keys of one item; items of one slice
  int64_t slices;              // batch items, or blocks of the mask
  int64_t partial_floats, scratch_floats;
  bool on_tiles;         // attention_decode_tiles.h
  int64_t tiles_begin;   // of its scratch, if on_tiles
  float unit;            // a factor of weights and their sums
};

/** Keys whose values are added at a time. */
constexpr int64_t kDecodeChunk = 16;

/** A slice: one batch item, or one block of the mask. */
struct DecodeItem {
  const AttentionArgs* args;
  MaskBlock block;
  int64_t b;
  float* queries;  // [rows][key_stride]; words of two bfloat16 where decodes_bfloat16
  float* near;     // [rows][kNearFloats]
  float* values;   // [kDecodeChunk][value_stride]
  float* scores;   // [rows][kDecodeKeys]
  float* bias;     // the same, if there is a bias
  float* max;      // [rows]
  float* sum;      // [rows]
  float* output;   // [rows][value_stride]
  uint32_t* tiles;  // scratch of attention_decode_tiles.h, if plan.on_tiles
};

/** `partial` holds max, sum and output of the item, `scratch` the rest. */
static inline DecodeItem decode_item(const AttentionArgs& args, const DecodePlan& plan, int64_t slice,
                              float* scratch, float* partial) {
  const bool dense = args.mask.num_blocks == 0;
  DecodeItem item;
  item.args = &args;
  item.block = block_of(args.mask, dense ? 0 : slice, args.shape.queries, args.shape.keys);
  item.b = dense ? slice : 0;
  item.queries = scratch;
  item.near = item.queries + plan.rows * plan.key_stride;
  item.values = item.near + plan.rows * kNearFloats;
  item.scores = item.values + kDecodeChunk * plan.value_stride;
  item.bias = item.scores + plan.rows * kDecodeKeys;
  item.tiles = plan.on_tiles ? reinterpret_cast<uint32_t*>(scratch + plan.tiles_begin) : nullptr;
  item.max = partial;
  item.sum = partial + plan.rows;
  item.output = partial + 2 * plan.rows;
  return item;
}

/** The state before any key: what an item that sees none leaves, too; its output rows are then not read. */
static inline void clear_sums(const DecodeItem& item, const DecodePlan& plan) {
  for (int64_t r = 0; r < plan.rows; r++) {
    item.max[r] = kHidden;
    item.sum[r] = 0.0f;
  }
}

/** Copies the queries. */
static inline void copy_queries(const DecodeItem& item, const DecodePlan& plan) {
  const AttentionArgs& args = *item.args;
  const int64_t count = item.block.q_length;
  for (int64_t h = 0; h < args.shape.heads; h++) {
    const auto address = [&](int64_t i) { return row_address(args.query, item.b, item.block.q_start + i, h); };
    float* queries = item.queries + h * plan.queries * plan.key_stride;
    if (decodes_bfloat16(args)) {
      copy_bfloat16_rows(address, count, args.shape.key_dim, queries, plan.key_stride);
    } else {
      copy_rows(address, args.query.dtype, count, args.shape.key_dim, queries, plan.key_stride);
    }
  }
}

/** The keys of a block as lanes, for the queries of one key/value head. */
struct DecodeBlock {
  int64_t g;           // key/value head
  int64_t j0, j1;      // keys of the mask's block
  int64_t rows;        // of the group
  int64_t first_row;   // of the group among all rows
  float *scores, *bias;  // of the group
};

/** All ones in the lanes of vector v whose keys query i sees. */
TFXF_INLINE Vi seen_lanes(const DecodeItem& item, const DecodeBlock& at, int64_t i, int64_t v) {
  const Interval seen = visible_keys(item.args->mask, item.block, i, i + 1);
  const int64_t base = at.j0 + v * kWidth;
  const int64_t end = smaller(seen.end, at.j1);
  const int32_t from = static_cast<int32_t>(smaller(larger(seen.begin - base, 0), kWidth));
  const int32_t to = static_cast<int32_t>(smaller(larger(end - base, 0), kWidth));
  const Vi lanes = lane_numbers();
  return reinterpret_cast<Vi>((lanes >= from) & (lanes < to));
}

/** The bias of the group's rows for the keys of the block. */
static inline void copy_decode_bias(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at) {
  const AttentionArgs& args = *item.args;
  const BiasView& bias = args.bias;
  const int64_t group = args.shape.heads / args.shape.kv_heads;
  for (int64_t x = 0; x < group; x++) {
    const int64_t h = at.g * group + x;
    const BiasTile tile = {item.b * bias.b + h * bias.h + at.j0 * bias.j, bias.i, bias.j};
    copy_bias(bias, tile, plan.queries, at.j1 - at.j0, at.bias + x * plan.queries * kDecodeKeys,
              kDecodeKeys);
  }
}

/**
 * Scores of one row become weights; the row's maximum and sum are brought up to date, and scale(row, factor) its output.
 */
template <typename Scale>
static inline void softmax_row(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at,
                        const ScoreRule& rule, int64_t r, const Scale& scale) {
  float* scores = at.scores + r * kDecodeKeys;
  const int64_t row = at.first_row + r, i = r % plan.queries;
  const int64_t vectors = divide_up(at.j1 - at.j0, kWidth);
  const bool all_seen = (at.j1 - at.j0) % kWidth == 0 &&
                        all_visible(item.args->mask, item.block, i, i + 1, at.j0, at.j1);
  Vf highest = splat(item.max[row]);
  for (int64_t v = 0; v < vectors; v++) {
    const Vf bias = rule.biased ? load(at.bias + r * kDecodeKeys + v * kWidth) : Vf{};
    Vf t = score(rule, load(scores + v * kWidth), bias);
    if (!all_seen) t = hide(t, ~seen_lanes(item, at, i, v));
    store(scores + v * kWidth, t);
    highest = max_keep_nan(t, highest);
  }
  const float max = max_lanes(highest);
  const float lowest = max == kHidden ? 0.0f : max;
  Vf sums = {};
  for (int64_t v = 0; v < vectors; v++) {
    const Vf weight = exp(load(scores + v * kWidth) - lowest, plan.unit);
    sums += weight;
    store(scores + v * kWidth, weight);
  }
  if (max != item.max[row]) {
    const Vf factor = exp(splat(item.max[row] - lowest));
    item.sum[row] *= factor[0];
    scale(row, factor);
    item.max[row] = max;
  }
  item.sum[row] += sum_lanes(sums);
}

/** Weights of dropped keys become 0, the others are scaled. */
static inline void drop_row(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at, int64_t r) {
  const Dropout& dropout = item.args->dropout;
  const int64_t row = at.first_row + r;
  const uint32_t h = static_cast<uint32_t>(row / plan.queries);
  const uint32_t i = static_cast<uint32_t>(item.block.q_start + row % plan.queries);
  const uint32_t head = dropout_head_key(dropout.seed, static_cast<uint32_t>(item.b), h);
  const uint32_t key = dropout_row_key(head, i);
  float* weights = at.scores + r * kDecodeKeys;
  for (int64_t lane = 0; lane < at.j1 - at.j0; lane++) {
    const uint32_t draw = dropout_draw(key, static_cast<uint32_t>(key_row(item.block, at.j0 + lane)));
    weights[lane] = draw >= dropout.threshold ? weights[lane] * dropout.keep_scale : 0.0f;
  }
}

/** Whether row r of the group sees key `lane` of the block. */
TFXF_INLINE bool sees_key(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at, const ScoreRule& rule,
                          int64_t r, int64_t lane) {
  const int64_t i = r % plan.queries;
  const bool hidden = rule.biased && at.bias[r * kDecodeKeys + lane] == kHidden;
  return i < item.block.q_length && !hidden && visible(item.args->mask, item.block, i, at.j0 + lane);
}

/** Clears a value row that is not finite, after adding it to the rows that see it: 0 times NaN must not reach the others. */
static inline void add_spoilt_row(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at,
                           const ScoreRule& rule, int64_t lane, float* values) {
  for (int64_t r = 0; r < at.rows; r++) {
    if (!sees_key(item, plan, at, rule, r, lane)) continue;
    float* output = item.output + (at.first_row + r) * plan.value_stride;
    const Vf weight = splat(at.scores[r * kDecodeKeys + lane]);
    for (int64_t d = 0; d < plan.value_stride; d += kWidth) {
      store(output + d, fma(weight, load(values + d), load(output + d)));
    }
  }
  for (int64_t d = 0; d < plan.value_stride; d += kWidth) store(values + d, Vf{});
}

/** output[r] += sum of weights[r][j] values[j] for `count` keys, whose first weights and values these are. */
template <typename T>
static inline void add_rows(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at,
                            const float* weights, int64_t count, const T* values, int64_t stride) {
  gemm<false, true>(at.rows, plan.value_stride / kWidth, count, weights, kDecodeKeys, values, stride,
                    item.output + at.first_row * plan.value_stride, plan.value_stride);
}

/** The same for the keys of the block from key `first` on, by way of a copy in which spoilt rows are cleared. */
static inline void add_copied_rows(const DecodeItem& item, const DecodePlan& plan,
                                   const DecodeBlock& at, const ScoreRule& rule, int64_t first,
                                   int64_t count) {
  const AttentionArgs& args = *item.args;
  float* copy = item.values;
  const auto value = [&](int64_t r) {
    return key_address(args.value, item.block, item.b, at.j0 + first + r, at.g);
  };
  const int64_t columns = args.shape.value_dim;
  const bool spoilt = copy_rows(value, args.value.dtype, count, columns, copy, plan.value_stride);
  for (int64_t r = 0; spoilt && r < count; r++) {
    const bool bad = row_is_spoilt(copy + r * plan.value_stride, columns);
    if (bad) add_spoilt_row(item, plan, at, rule, first + r, copy + r * plan.value_stride);
  }
  add_rows(item, plan, at, at.scores + first, count, copy, plan.value_stride);
}

/** Values that are fetched beside those that are added. */
constexpr int64_t kRowsAhead = 8;

/**
 * output[r] += sum over `count` keys from key `first` of the block on of weights[r][j] value[j]. The same head of values a
 * few rows further down is fetched.
 */
static inline void add_values(const DecodeItem& item, const DecodePlan& plan, const DecodeBlock& at,
                              const ScoreRule& rule, int64_t first, int64_t count, bool apart) {
  const AttentionArgs& args = *item.args;
  if (apart) return add_copied_rows(item, plan, at, rule, first, count);
  const int64_t stride = args.value.row_stride, bytes = element_bytes(args.value.dtype);
  const char* values = key_address(args.value, item.block, item.b, at.j0 + first, at.g);
  const float* weights = at.scores + first;
  const int64_t last = smaller(at.j1 - at.j0 - first, count + kRowsAhead);
  for (int64_t r = kRowsAhead; r < last; r++) fetch_row(values + r * stride * bytes, args.shape.value_dim * bytes);
  if (args.value.dtype == DType::kFloat32) {
    add_rows(item, plan, at, weights, count, reinterpret_cast<const float*>(values), stride);
  } else {
    add_rows(item, plan, at, weights, count, reinterpret_cast<const uint16_t*>(values), stride);
  }
}

/** Scores of all heads, from keys read in the order in which they lie. */
static inline void score_block(const DecodeItem& item, const DecodePlan& plan, int64_t j0, int64_t count) {
  const AttentionArgs& args = *item.args;
  const int64_t width = decodes_bfloat16(args) ? divide_up(args.shape.key_dim, 2) : args.shape.key_dim;
  const DecodeQueries queries = {item.queries, plan.key_stride, width, plan.rows / args.shape.kv_heads,
                                 args.shape.kv_heads, item.near, item.scores};
  const auto key = [&](int64_t r) { return key_address(args.key, item.block, item.b, j0 + r, 0); };
  dot_products(args, queries, key, count);
}

static inline DecodeBlock decode_block(const DecodeItem& item, const DecodePlan& plan, int64_t g, int64_t j0, int64_t j1) {
  const int64_t rows = plan.rows / item.args->shape.kv_heads, first = g * rows;
  return {g, j0, j1, rows, first, item.scores + first * kDecodeKeys, item.bias + first * kDecodeKeys};
}

/** From scores of a group to weights; scale as in softmax_row. */
template <typename Scale>
static inline void weigh_group(const DecodeItem& item, const DecodePlan& plan, const ScoreRule& rule, const DecodeBlock& at,
                               const Scale& scale) {
  if (rule.biased) copy_decode_bias(item, plan, at);
  for (int64_t r = 0; r < at.rows; r++) {
    if (r % plan.queries < item.block.q_length) softmax_row(item, plan, at, rule, r, scale);
    if (item.args->dropout.threshold != 0) drop_row(item, plan, at, r);
  }
}

/** The keys j0 … j1 - 1 for all heads; values are read where they lie unless spoilt ones are to be set `apart`. */
static inline void attend_decode_block(const DecodeItem& item, const DecodePlan& plan, int64_t j0, int64_t j1,
                                       bool apart) {
  const ScoreRule rule = score_rule(*item.args);
  score_block(item, plan, j0, j1 - j0);
  const int64_t groups = item.args->shape.kv_heads;
  const auto scale = [&](int64_t row, Vf factor) {
    float* output = item.output + row * plan.value_stride;
    for (int64_t d = 0; d < plan.value_stride; d += kWidth) store(output + d, load(output + d) * factor);
  };
  for (int64_t g = 0; g < groups; g++) weigh_group(item, plan, rule, decode_block(item, plan, g, j0, j1), scale);
  for (int64_t first = 0; first < j1 - j0; first += kDecodeChunk) {
    const int64_t count = smaller(kDecodeChunk, j1 - j0 - first);
    for (int64_t g = 0; g < groups; g++) {
      add_values(item, plan, decode_block(item, plan, g, j0, j1), rule, first, count, apart);
    }
  }
}

/** Whether output rows that are in use hold infinite values or NaN. */
static inline bool output_is_spoilt(const DecodeItem& item, const DecodePlan& plan) {
  for (int64_t r = 0; r < plan.rows; r++) {
    if (r % plan.queries >= item.block.q_length) continue;
    if (row_is_spoilt(item.output + r * plan.value_stride, plan.value_stride)) return true;
  }
  return false;
}

}  // namespace TFXF_ISA
}  // namespace tfxf
