// SPDX-License-Identifier: Apache-2.0
/** What attention_forward.cc does with one block of keys, and with one panel of queries against it. */
#pragma once

#include "cpu/kernels/attention_softmax.h"
#include "cpu/simd/gemm_bfloat16.h"

namespace tfxf {
namespace TFXF_ISA {

/** Keys in a block: its weights for a panel, and a strip of its values, stay in the first-level cache. */
constexpr int64_t kKeyBlock = 96;
/** For products on tiles, where what a block costs beside them counts for more. */
constexpr int64_t kTileKeyBlock = 128;
constexpr int64_t kMaxPanels = 1024 / kTileColumns;
/** What the panels of an item may hold, so that they stay in the second-level cache: processors with tiles have 2 MiB. */
constexpr int64_t kPanelBytes = 512 * 1024;
constexpr int64_t kTilePanelBytes = 1024 * 1024;

/** One work item and the block of keys that it is at. */
struct ForwardItem {
  const AttentionForwardArgs* args;
  MaskBlock block;
  int64_t b, h, kv_head;
  int64_t j0, j1;  // keys of the block of the mask
  float* keys;     // [key_block][tile_stride], or words of two bfloat16
  float* values;   // [key_block][tile_stride]
  float* scores;   // [key_block][kTileColumns]
  float* bias;     // the same, if there is a bias
  uint32_t* weights;  // for products on tiles: see attention_forward_tiles.h
  bool has_vast_keys;  // for products on tiles: whether some key of the block is_vast
  bool spoilt;     // whether some value of the block is not finite
  bool cleared[kTileKeyBlock];  // if so, which rows of values
};

struct ForwardPanel {
  Panel panel;
  float* query;   // [key_dim][kTileColumns], or words of two bfloat16; on tiles, terms of them
  float* output;  // value_dim rows in output_layout
  SoftmaxState softmax;
  // For products on tiles:
  float* highest;  // [kTileColumns], the maximum itself
  bool is_vast;    // whether some query is_vast
};

/** Row j of the mask's block, of keys or values. */
TFXF_INLINE const char* block_row(const HeadsView& view, const ForwardItem& item, int64_t j) {
  return key_address(view, item.block, item.b, j, item.kv_head);
}

/** Row `r` of a panel of queries. */
TFXF_INLINE const char* query_address(const ForwardItem& item, const Panel& panel, int64_t r) {
  return row_address(item.args->common.query, item.b, item.block.q_start + panel.first + r, item.h);
}

/** Whether dot products of queries and keys are taken in bfloat16. */
TFXF_INLINE bool uses_bfloat16(const AttentionArgs& args) {
#if defined(__AVX512BF16__)
  return args.query.dtype == DType::kBFloat16;
#else
  (void)args;
  return false;
#endif
}

TFXF_INLINE int64_t key_block(const AttentionArgs& args) { return uses_tiles(args) ? kTileKeyBlock : kKeyBlock; }

/** Where the output of a panel lies: vectors of queries one after the other, where it is made of tiles. */
TFXF_INLINE LaneLayout output_layout(const AttentionArgs& args) {
  return uses_tiles(args) ? LaneLayout{kWidth, whole_vectors(args.shape.value_dim) * kWidth} : kRowLayout;
}

/** Words of a row of `columns` bfloat16; the second half of an odd row's last word counts as 0, whatever it holds. */
TFXF_INLINE void clear_padding(float* words, int64_t count, int64_t stride) {
  for (int64_t r = 0; r < count; r++) {
    uint32_t word;
    memcpy(&word, words + r * stride, 4);
    word &= 0xffffu;
    memcpy(words + r * stride, &word, 4);
  }
}

/** Copies the queries of a panel. */
TFXF_INLINE void copy_queries(const ForwardItem& item, const ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const auto address = [&](int64_t r) { return query_address(item, state.panel, r); };
  const int64_t columns = args.shape.key_dim, count = state.panel.count;
  if (!uses_bfloat16(args)) {
    copy_rows_transposed(address, args.query.dtype, count, columns, state.query, kTileColumns);
    return;
  }
  // Two bfloat16 move as one float: a transpose looks at no bit.
  const int64_t words = divide_up(columns, 2);
  copy_rows_transposed(address, DType::kFloat32, count, words, state.query, kTileColumns);
  if (columns % 2 != 0) clear_padding(state.query + (words - 1) * kTileColumns, kTileColumns, 1);
}

/** Copies the keys j0 … j1 - 1. */
TFXF_INLINE void copy_keys(const ForwardItem& item) {
  const AttentionArgs& args = item.args->common;
  const int64_t count = item.j1 - item.j0, k = args.shape.key_dim;
  const auto key = [&](int64_t r) {
    return block_row(args.key, item, item.j0 + r);
  };
  if (uses_bfloat16(args)) {
    const int64_t words = divide_up(k, 2), stride = tile_stride(words);
    copy_rows(key, DType::kFloat32, count, words, item.keys, stride);
    if (k % 2 != 0) clear_padding(item.keys + words - 1, count, stride);
  } else {
    copy_rows(key, args.key.dtype, count, k, item.keys, tile_stride(k));
  }
}

/** Copies the keys and values j0 … j1 - 1. Values that are not finite are noted, and their rows cleared. */
static inline void copy_key_block(ForwardItem& item) {
  const AttentionArgs& args = item.args->common;
  const int64_t count = item.j1 - item.j0, v = args.shape.value_dim;
  const auto value = [&](int64_t r) {
    return block_row(args.value, item, item.j0 + r);
  };
  copy_keys(item);
  const int64_t stride = tile_stride(v);
  item.spoilt = copy_rows(value, args.value.dtype, count, v, item.values, stride);
  if (!item.spoilt) return;
  for (int64_t r = 0; r < count; r++) {
    float* row = item.values + r * stride;
    item.cleared[r] = row_is_spoilt(row, v);
    if (!item.cleared[r]) continue;
    for (int64_t d = 0; d < v; d += kWidth) store(row + d, Vf{});
  }
}

/**
 * Asks for the keys and values of rows begin … end - 1 of the mask's block, which are copied soon. Always inline: GCC
 * takes a function that does nothing but prefetch for one without effect, and drops the calls of it.
 */
TFXF_INLINE void prefetch_keys(const ForwardItem& item, int64_t begin, int64_t end) {
  const AttentionArgs& args = item.args->common;
  for (int64_t j = begin; j < end; j++) {
    const char* key = block_row(args.key, item, j);
    const char* value = block_row(args.value, item, j);
    prefetch_row<2>(key, args.shape.key_dim, args.key.dtype);
    prefetch_row<2>(value, args.shape.value_dim, args.value.dtype);
  }
}

/** scores[j][lane] = key j · query of the lane, for one segment. */
TFXF_INLINE void dot_products(const ForwardItem& item, const ForwardPanel& state,
                              const Segment& segment) {
  const AttentionArgs& args = item.args->common;
  const int64_t first = segment.begin - item.j0, rows = segment.end - segment.begin;
  const int64_t vectors = segment.v1 - segment.v0, lane = segment.v0 * kWidth;
  float* scores = item.scores + first * kTileColumns + lane;
#if defined(__AVX512BF16__)
  if (uses_bfloat16(args)) {
    const int64_t words = divide_up(args.shape.key_dim, 2), stride = tile_stride(words);
    const uint32_t* keys = reinterpret_cast<const uint32_t*>(item.keys) + first * stride;
    const uint32_t* queries = reinterpret_cast<const uint32_t*>(state.query) + lane;
    gemm_bfloat16(rows, vectors, words, keys, stride, queries, kTileColumns, scores, kTileColumns);
    return;
  }
#endif
  const int64_t depth = args.shape.key_dim, stride = tile_stride(depth);
  gemm<false, false>(rows, vectors, depth, item.keys + first * stride, stride, state.query + lane,
                     kTileColumns, scores, kTileColumns);
}

/** Dot products become scores, where more than a factor is needed. `scores` has those of key segment.begin first. */
static inline void apply_score_rule(const ForwardItem& item, const ForwardPanel& state,
                             const Segment& segment, const ScoreRule& rule, float* scores, const LaneLayout& layout) {
  const AttentionArgs& args = item.args->common;
  for (int64_t j = segment.begin; j < segment.end; j++) {
    const float* row_bias = item.bias + (j - item.j0) * kTileColumns;
    for (int64_t v = segment.v0; v < segment.v1; v++) {
      float* p = scores + layout.at(j - segment.begin, v);
      const Vf bias = rule.biased ? load(row_bias + v * kWidth) : Vf{};
      Vf t = score(rule, load(p), bias);
      if (segment.mixed) t = hide(t, ~visible_lanes(args.mask, item.block, state.panel, j, v));
      store(p, t);
    }
  }
}

/** The bias of the keys of the block for the panel. */
static inline void copy_panel_bias(const ForwardItem& item, const Panel& panel) {
  const BiasView& bias = item.args->common.bias;
  const int64_t first = item.b * bias.b + item.h * bias.h + panel.first * bias.i + item.j0 * bias.j;
  const BiasTile tile = {first, bias.j, bias.i};
  copy_bias(bias, tile, item.j1 - item.j0, panel.count, item.bias, kTileColumns);
}

/** Weights of dropped keys become 0, the others are scaled. */
static inline void drop_weights(const ForwardItem& item, const ForwardPanel& state, const Segment& segment) {
  const Dropout& dropout = item.args->common.dropout;
  const uint32_t head = dropout_head_key(dropout.seed, static_cast<uint32_t>(item.b), static_cast<uint32_t>(item.h));
  for (int64_t v = segment.v0; v < segment.v1; v++) {
    const int64_t i = item.block.q_start + state.panel.first + v * kWidth;
    const Vu lanes = reinterpret_cast<Vu>(lane_numbers()) + static_cast<uint32_t>(i);
    const Vu row_key = dropout_row_key(head, lanes);
    for (int64_t j = segment.begin; j < segment.end; j++) {
      float* p = item.scores + (j - item.j0) * kTileColumns + v * kWidth;
      const Vu draw = dropout_draw(row_key, static_cast<uint32_t>(key_row(item.block, j)));
      store(p, draw >= dropout.threshold ? load(p) * dropout.keep_scale : Vf{});
    }
  }
}

/**
 * A value that was cleared, because it is not finite, added for the lanes of vector v that see key j: a weight of 0 times an
 * infinite value is NaN, which must show where the key is visible and only there.
 */
static inline void add_spoilt_value(const ForwardItem& item, const ForwardPanel& state, int64_t j, int64_t v, Vf weight,
                             const ScoreRule& rule, const LaneLayout& layout) {
  const AttentionArgs& args = item.args->common;
  const char* row = block_row(args.value, item, j);
  Vi seen = visible_lanes(args.mask, item.block, state.panel, j, v);
  if (rule.biased) {
    seen &= reinterpret_cast<Vi>(load(item.bias + (j - item.j0) * kTileColumns + v * kWidth) != kHidden);
  }
  for (int64_t d = 0; d < args.shape.value_dim; d++) {
    float* out = state.output + layout.at(d, v);
    const Vf sum = fma(weight, splat(load_columns(row, args.value.dtype, d, d + 1)[0]), load(out));
    store(out, seen ? sum : load(out));
  }
}

/** The values of a segment that copy_key_block cleared. */
static inline void add_spoilt_values(const ForwardItem& item, const ForwardPanel& state,
                              const Segment& segment, const ScoreRule& rule) {
  for (int64_t j = segment.begin; j < segment.end; j++) {
    if (!item.cleared[j - item.j0]) continue;
    const float* weights = item.scores + (j - item.j0) * kTileColumns;
    for (int64_t v = segment.v0; v < segment.v1; v++) {
      add_spoilt_value(item, state, j, v, load(weights + v * kWidth), rule, kRowLayout);
    }
  }
}

/** One block of keys for one panel. */
static inline void attend_key_block(const ForwardItem& item, const ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const Panel& panel = state.panel;
  const Interval seen = visible_keys(args.mask, item.block, panel.first, panel.first + panel.count);
  const int64_t j0 = larger(seen.begin, item.j0), j1 = smaller(seen.end, item.j1);
  if (j0 >= j1) return;
  const ScoreRule rule = score_rule(args);
  if (rule.biased) copy_panel_bias(item, panel);
  Segment segments[kMaxSegments];
  const int count = segments_of(args.mask, item.block, panel, j0, j1, segments);
  float factors[kMaxSegments];
  Vf highest[kTileVectors];
  for (int v = 0; v < kTileVectors; v++) highest[v] = load(state.softmax.max + v * kWidth);
  for (int s = 0; s < count; s++) {
    const Segment& segment = segments[s];
    dot_products(item, state, segment);
    const bool scores_are_dots = is_linear(rule) && !segment.mixed;
    factors[s] = scores_are_dots ? rule.scale : 1.0f;
    if (!scores_are_dots) {
      float* first = item.scores + (segment.begin - item.j0) * kTileColumns;
      apply_score_rule(item, state, segment, rule, first, kRowLayout);
    }
    for (int64_t v = segment.v0; v < segment.v1; v++) {
      highest[v] = column_max(item.scores, segment.begin - item.j0, segment.end - item.j0, v,
                              factors[s], highest[v]);
    }
  }
  for (int v = 0; v < kTileVectors; v++) {
    raise_max(state.softmax, v, highest[v], state.output, kRowLayout, args.shape.value_dim);
  }
  const int64_t stride = tile_stride(args.shape.value_dim);
  for (int s = 0; s < count; s++) {
    const Segment& segment = segments[s];
    const int64_t first = segment.begin - item.j0, lane = segment.v0 * kWidth;
    const Segment rows = {first, segment.end - item.j0, segment.v0, segment.v1, false};
    exponentiate(item.scores, rows, factors[s], state.softmax);
    if (args.dropout.threshold != 0) drop_weights(item, state, segment);
    gemm<true, true>(args.shape.value_dim, segment.v1 - segment.v0, segment.end - segment.begin,
                     item.values + first * stride, stride, item.scores + first * kTileColumns + lane,
                     kTileColumns, state.output + lane, kTileColumns);
    if (item.spoilt) add_spoilt_values(item, state, segment, rule);
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
