// SPDX-License-Identifier: Apache-2.0
/**
 * A block of keys for a panel of queries, by products on AMX tiles. Queries are lanes, as in attention_forward_panel.h, and
 * everything lies in tiles (simd/tiles.h):
 *
 *   scores [key][query]      keys as they are              x  pairs of columns of queries
 *   output [column][query] += values, transposed once  x  pairs of keys of weights
 *
 * Queries, keys and values in float32 go in as three bfloat16 each, and so do weights beside such values: six products, as
 * accurate as float32. Beside bfloat16 values a weight goes in as two, its leading 8 bits and the rest, each rounded: results
 * are those of float32 weights to within 2^-17 of each weight. Where the maximum rises within a block they are split again. Sums
 * and the softmax are float32. What is taken off the scores before they are exponentiated is raised only once a score exceeds it
 * by kMostExcess, so that weights need one pass over the scores; kTileWeightUnit, a factor of theirs, keeps them at most 1.
 */
#pragma once

#include "cpu/kernels/attention_forward_tile_load.h"

#if defined(__AMX_BF16__)

namespace tfxf {
namespace TFXF_ISA {

/** Of the scores of kTileKeys keys. */
constexpr LaneLayout kScoreLayout = {kTileSide, kTileKeys * kTileSide};
/** The most by which a score may exceed what is taken off it. */
constexpr float kMostExcess = 8.0f;

/** A tile of keys for one panel: those of row `row` of the item's block on. */
struct Strip {
  const ForwardItem& item;
  const ForwardPanel& state;
  Interval keys;        // of the block that some query of the panel sees
  int64_t first, row;   // rows; the panel's strips begin at `first`
  float factor;         // what is left to multiply scores by

  int64_t begin() const { return item.j0 + row; }
  int64_t end() const { return item.j0 + row + kTileKeys; }
};

/** Turns the dot products of a strip into scores but for strip.factor, with -Infinity for hidden keys. */
static inline void finish_scores(Strip& strip, const ScoreRule& rule) {
  const ForwardItem& item = strip.item;
  const Panel& panel = strip.state.panel;
  const int64_t begin = strip.begin(), end = strip.end();
  const Segment seen = {larger(begin, strip.keys.begin), smaller(end, strip.keys.end), 0, panel.vectors, true};
  const bool all_seen = seen.begin == begin && seen.end == end &&
                        all_visible(item.args->common.mask, item.block, panel.first, panel.first + panel.count, begin, end);
  // weigh_vector multiplies the largest dot product, which a negative factor would make the smallest score.
  if (is_linear(rule) && all_seen && rule.scale >= 0.0f) {
    strip.factor = rule.scale;
    return;
  }
  strip.factor = 1.0f;
  const auto hide_rows = [&](int64_t from, int64_t to) {
    for (int64_t v = 0; v < panel.vectors; v++) {
      for (int64_t j = from; j < to; j++) store(item.scores + kScoreLayout.at(j - begin, v), splat(kHidden));
    }
  };
  hide_rows(begin, seen.begin);
  hide_rows(seen.end, end);
  apply_score_rule(item, strip.state, seen, rule, item.scores + kScoreLayout.at(seen.begin - begin, 0), kScoreLayout);
}

/** From scores to weights, for vector v of a strip. */
struct Weigher {
  const Strip& strip;
  Vf factor, lowest;
  Vu row_key;

  Weigher(const Strip& strip_, int64_t v) : strip(strip_) {
    const ForwardItem& item = strip.item;
    const Dropout& dropout = item.args->common.dropout;
    const uint32_t head = dropout_head_key(dropout.seed, static_cast<uint32_t>(item.b), static_cast<uint32_t>(item.h));
    const int64_t i = item.block.q_start + strip.state.panel.first + v * kWidth;
    factor = splat(strip.factor);
    lowest = Vf{} - finite_max(load(strip.state.softmax.max + v * kWidth));
    row_key = dropout_row_key(head, reinterpret_cast<Vu>(lane_numbers()) + static_cast<uint32_t>(i));
  }

  TFXF_ALWAYS_INLINE Vf weight(Vf score) const { return exp(rounded(score * factor) + lowest, kTileWeightUnit); }

  /** The weight of row r of the strip, which becomes 0 where it is dropped and is scaled elsewhere. */
  TFXF_ALWAYS_INLINE Vf dropped(int64_t r, Vf weight) const {
    const ForwardItem& item = strip.item;
    const Dropout& dropout = item.args->common.dropout;
    const int64_t j = smaller(strip.begin() + r, item.j1 - 1);
    const Vu draw = dropout_draw(row_key, static_cast<uint32_t>(key_row(item.block, j)));
    return draw >= dropout.threshold ? weight * dropout.keep_scale : Vf{};
  }
};

/** Where the weights of a pair of keys begin, at row `row` of the block. */
TFXF_INLINE uint32_t* weights_at(const ForwardItem& item, int64_t row, int64_t v) {
  return item.weights + v * kVectorWeights + row / 2 * kTileSide;
}

/** The weights of vector v, in pairs, and their sum before dropping. Returns the largest score. */
template <bool kDrop, int kTerms>
static inline Vf weigh_vector(const Strip& strip, int64_t v, Vf& sum) {
  const Weigher weigher(strip, v);
  const float* scores = strip.item.scores + kScoreLayout.at(0, v);
  uint32_t* out = weights_at(strip.item, strip.row, v);
  Vf sums[4] = {}, most[2] = {splat(kHidden), splat(kHidden)};
  const auto weigh = [&](int64_t r, int u) TFXF_ALWAYS_INLINE {
    const Vf score = load(scores + r * kWidth);
    most[u % 2] = max_keep_nan(score, most[u % 2]);
    const Vf weight = weigher.weight(score);
    sums[u] += weight;
    return kDrop ? weigher.dropped(r, weight) : weight;
  };
  for (int64_t r = 0; r < kTileKeys; r += 4) {
#pragma GCC unroll 2
    for (int u = 0; u < 4; u += 2) {
      const Vf even = weigh(r + u, u), odd = weigh(r + u + 1, u + 1);
      store_split_pair<kTerms>(out + (r + u) / 2 * kWidth, kTermWeights, even, odd);
    }
  }
  sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return max_keep_nan(most[0], most[1]) * weigher.factor;
}

/**
 * What was summed for the `raised` lanes of vector v shrinks to their new maximum: output, sum, and the weights of earlier
 * strips. Nothing of the other lanes changes, not a bit: a query does not depend on its neighbours.
 */
template <int kTerms>
static inline void raise_vector(const Strip& strip, int64_t v, Vf most, Vi raised) {
  const SoftmaxState& softmax = strip.state.softmax;
  const AttentionArgs& args = strip.item.args->common;
  const Vf old = load(softmax.max + v * kWidth);
  const Vf max = raised ? most : old;
  const Vf shrink = exp(old - finite_max(max));
  for (int64_t row = strip.first; row < strip.row; row += 2) {
    uint32_t* pair = weights_at(strip.item, row, v);
    Vu old_terms[kTerms];
    Vf even = {}, odd = {};
    for (int t = kTerms - 1; t >= 0; t--) {
      old_terms[t] = load_words(pair + t * kTermWeights);
      even += float_of(old_terms[t] << 16);
      odd += float_of(old_terms[t] & 0xffff0000u);
    }
    store_split_pair<kTerms>(pair, kTermWeights, even * shrink, odd * shrink);
    for (int t = 0; t < kTerms; t++) {
      uint32_t* term = pair + t * kTermWeights;
      store_words(term, raised ? load_words(term) : old_terms[t]);
    }
  }
  raise_max(softmax, v, max, strip.state.output, output_layout(args), args.shape.value_dim);
}

/** The softmax of a strip. */
template <bool kDrop, int kTerms>
static inline void weigh_strip(const Strip& strip) {
  const SoftmaxState& softmax = strip.state.softmax;
  for (int64_t v = 0; v < strip.state.panel.vectors; v++) {
    float* const highest = strip.state.highest + v * kWidth;
    Vf sum;
    const Vf most = max_keep_nan(weigh_vector<kDrop, kTerms>(strip, v, sum), load(highest));
    store(highest, most);
    // "Not within" holds for NaN, too.
    const Vi raised = ~reinterpret_cast<Vi>(most <= load(softmax.max + v * kWidth) + kMostExcess);
    if (any_lane(raised)) {
      raise_vector<kTerms>(strip, v, most, raised);
      weigh_vector<kDrop, kTerms>(strip, v, sum);
    }
    store(softmax.sum + v * kWidth, load(softmax.sum + v * kWidth) + sum);
  }
}

/** The values that copy_key_block_tiles cleared. */
static inline void add_spoilt_tiles(const Strip& strip, const ScoreRule& rule) {
  const ForwardItem& item = strip.item;
  const AttentionArgs& args = item.args->common;
  const int64_t begin = larger(strip.begin(), strip.keys.begin), end = smaller(strip.end(), strip.keys.end);
  for (int64_t v = 0; v < strip.state.panel.vectors; v++) {
    const Weigher weigher(strip, v);
    for (int64_t j = begin; j < end; j++) {
      if (!item.cleared[j - item.j0]) continue;
      const int64_t r = j - strip.begin();
      const Vf weight = weigher.weight(load(item.scores + kScoreLayout.at(r, v)));
      const Vf kept = args.dropout.threshold != 0 ? weigher.dropped(r, weight) : weight;
      add_spoilt_value(item, strip.state, j, v, kept, rule, output_layout(args));
    }
  }
}

/** The dot products of a strip. */
TFXF_INLINE void multiply_keys(const Strip& strip) {
  const AttentionArgs& args = strip.item.args->common;
  const int64_t words = tile_row_words(args.shape.key_dim);
  TileProduct dots = {};
  dots.rows = kTileKeys / kTileSide;
  dots.columns = strip.state.panel.vectors;
  dots.depth = words / kTileSide;
  dots.a = reinterpret_cast<const uint32_t*>(strip.item.keys) + strip.row * kTileSide;
  dots.a_step = kTileKeyBlock * kTileSide;
  dots.b = reinterpret_cast<const uint32_t*>(strip.state.query);
  dots.b_step = words * kTileSide;
  dots.c = strip.item.scores;
  dots.c_row_step = kTileWords;
  dots.c_step = kScoreLayout.vector;
  dots.c_pitch = kTileSide;
  dots.a_term = key_term(args);
  dots.b_term = query_term(args);
  (input_terms(args) == 1 ? multiply_tiles<kOneByOne> : multiply_tiles<kThreeByThree>)(dots);
}

/** Takes again the dot products of a strip with queries and keys that are vast. */
static inline void mend_dot_products(const Strip& strip) {
  const ForwardItem& item = strip.item;
  const AttentionArgs& args = item.args->common;
  const Panel& panel = strip.state.panel;
  const auto query = [&](int64_t lane) { return query_address(item, panel, lane); };
  const auto key = [&](int64_t r) { return block_row(args.key, item, strip.begin() + r); };
  const auto at = [&](int64_t lane, int64_t r) { return kScoreLayout.at(r, lane / kWidth) + lane % kWidth; };
  const Interval keys = {0, smaller(strip.end(), item.j1) - strip.begin()};
  mend_products<kTileColumns>(panel.count, query, keys, key, args.shape.key_dim, item.scores, at);
}

/** Adds weights times values to the output, for rows `first` … `end` - 1 of the block. */
TFXF_INLINE void multiply_values(const ForwardItem& item, const ForwardPanel& state, int64_t first, int64_t end) {
  const AttentionArgs& args = item.args->common;
  const LaneLayout layout = output_layout(args);
  TileProduct sums = {};
  sums.rows = layout.vector / kTileWords;
  sums.columns = state.panel.vectors;
  sums.depth = (end - first) / kTileKeys;
  sums.a = reinterpret_cast<const uint32_t*>(item.values) + first / kTileKeys * layout.vector;
  sums.a_step = layout.vector;
  sums.b = weights_at(item, first, 0);
  sums.b_step = kVectorWeights;
  sums.c = state.output;
  sums.c_row_step = kTileWords;
  sums.c_step = layout.vector;
  sums.c_pitch = kTileSide;
  sums.a_term = value_term(args);
  sums.b_term = kTermWeights;
  (input_terms(args) == 1 ? multiply_add_tiles<kOneByTwo> : multiply_add_tiles<kThreeByThree>)(sums);
}

/** One block of keys for one panel, where weights have kTerms. */
template <bool kDrop, int kTerms>
static inline void attend_block_of_terms(const ForwardItem& item, const ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const Panel& panel = state.panel;
  const Interval seen = visible_keys(args.mask, item.block, panel.first, panel.first + panel.count);
  const Interval keys = {larger(seen.begin, item.j0), smaller(seen.end, item.j1)};
  if (keys.begin >= keys.end) return;
  const ScoreRule rule = score_rule(args);
  if (rule.biased) copy_panel_bias(item, panel);
  const int64_t first = (keys.begin - item.j0) / kTileKeys * kTileKeys;
  Strip strip = {item, state, keys, first, first, 1.0f};
  for (; strip.begin() < keys.end; strip.row += kTileKeys) {
    multiply_keys(strip);
    if (item.has_vast_keys || state.is_vast) mend_dot_products(strip);
    finish_scores(strip, rule);
    weigh_strip<kDrop, kTerms>(strip);
    if (item.spoilt) add_spoilt_tiles(strip, rule);
  }
  multiply_values(item, state, first, strip.row);
}

/** As attend_key_block, in a TileScope. */
static inline void attend_key_block_tiles(const ForwardItem& item, const ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const bool drops = args.dropout.threshold != 0;
  if (computed_terms(args) == kMostTerms) {
    (drops ? attend_block_of_terms<true, kMostTerms> : attend_block_of_terms<false, kMostTerms>)(item, state);
  } else {
    (drops ? attend_block_of_terms<true, 2> : attend_block_of_terms<false, 2>)(item, state);
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
