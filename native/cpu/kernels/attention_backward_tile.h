// SPDX-License-Identifier: Apache-2.0
/**
 * A tile: up to kTileQueries queries of one head against the keys of a chunk. Its rows are queries and its lanes keys.
 *
 *     S = Q Kᵀ      dP = dO Vᵀ      and in place of them
 *     P = exp(score(S) - LSE)      dS = P * (dP * keep - delta) * slope      both 0 where a key is hidden
 *
 * keep is 0 or 1 / (1 - p) with dropout, and P is then multiplied with it; slope is the derivative of the soft cap.
 * A hidden pair is 0 by selection: whatever its scores are, NaN included, they end here.
 */
#pragma once

#include "cpu/kernels/attention_backward_band.h"

namespace tfxf {
namespace TFXF_ISA {

/** Makes lanes outside begin … end - 1 of the first `lanes` 0. */
TFXF_INLINE void clear_outside(float* row, const Interval& seen, int64_t lanes) {
  const int64_t first = seen.begin / kWidth * kWidth;
  const int64_t last = whole_vectors(seen.end);
  for (int64_t x = 0; x < first; x += kWidth) store(row + x, Vf{});
  for (int64_t x = last; x < lanes; x += kWidth) store(row + x, Vf{});
  const int32_t head = static_cast<int32_t>(seen.begin - first);
  if (head > 0) store(row + first, lane_numbers() >= head ? load(row + first) : Vf{});
  const int32_t tail = static_cast<int32_t>(seen.end - (last - kWidth));
  if (tail < kWidth) {
    float* p = row + last - kWidth;
    store(p, lane_numbers() < tail ? load(p) : Vf{});
  }
}

struct RowTerms {
  Vf log_sum_exp, delta;
  uint32_t dropout_key;
};

/** P and dS where a score is a multiple of the dot product, and without dropout. */
TFXF_INLINE void linear_row(const Interval& seen, float scale, const RowTerms& terms,
                            float* weights, float* dscores) {
  for (int64_t x = seen.begin / kWidth * kWidth; x < seen.end; x += kWidth) {
    const Vf p = exp(rounded(load(weights + x) * scale) - terms.log_sum_exp);
    store(weights + x, p);
    store(dscores + x, p * (load(dscores + x) - terms.delta));
  }
}

/** P and dS with everything. Without `sloped`, the gradient of the score and not of the dot product. */
TFXF_INLINE void general_row(const BackwardCall& call, const Tile& tile, const Interval& seen,
                             const RowTerms& terms, bool sloped, const float* bias, float* weights,
                             float* dscores) {
  const ScoreRule& rule = call.rule;
  const Dropout& dropout = call.args.common.dropout;
  for (int64_t x = seen.begin / kWidth * kWidth; x < seen.end; x += kWidth) {
    const Vf plain = capped(rule, load(weights + x));
    const Vf added = rule.biased ? load(bias + x) : Vf{};
    Vf p = exp(plain + added - terms.log_sum_exp);
    Vf weight = p, dp = load(dscores + x);
    if (dropout.threshold != 0) {
      const Vu draw = dropout_draw<Vu>(splat_word(terms.dropout_key), load_words(tile.key_rows + x));
      const Vi kept = reinterpret_cast<Vi>(draw >= dropout.threshold);
      weight = kept ? p * dropout.keep_scale : Vf{};
      dp = kept ? dp * dropout.keep_scale : Vf{};
    }
    Vf gradient = p * (dp - terms.delta);
    if (rule.softcap > 0.0f && sloped) {
      const Vf t = plain / rule.softcap;
      gradient *= 1.0f - t * t;
    }
    if (rule.biased) {
      const Vi hidden = reinterpret_cast<Vi>(added == kHidden);
      weight = hidden ? Vf{} : weight;
      gradient = hidden ? Vf{} : gradient;
    }
    store(weights + x, weight);
    store(dscores + x, gradient);
  }
}

/** Turns S and dP into P and dS; lanes up to the chunk's last whole vector are written. */
static inline void weigh_tile(const BackwardCall& call, const Tile& tile, const Scratch& s, bool sloped) {
  const AttentionArgs& args = call.args.common;
  const int64_t first = (tile.b * args.shape.heads + tile.head) * args.shape.queries + tile.row(0);
  const uint32_t head_key = dropout_head_key(args.dropout.seed, static_cast<uint32_t>(tile.b),
                                             static_cast<uint32_t>(tile.head));
  const bool is_simple = is_linear(call.rule) && args.dropout.threshold == 0;
  for (int64_t r = 0; r < tile.rows; r++) {
    float* weights = s.weights + r * kPitch;
    float* dscores = s.dscores + r * kPitch;
    const float lse = call.args.log_sum_exp[first + r];
    const Interval seen = seen_keys(tile, r, r + 1);
    if (lse == kHidden || seen.end <= seen.begin) {
      memset(weights, 0, static_cast<size_t>(whole_vectors(tile.keys)) * sizeof(float));
      memset(dscores, 0, static_cast<size_t>(whole_vectors(tile.keys)) * sizeof(float));
      continue;
    }
    RowTerms terms = {splat(lse), splat(call.delta[first + r]), 0};
    if (is_simple) {
      linear_row(seen, call.rule.scale, terms, weights, dscores);
    } else {
      terms.dropout_key = dropout_row_key<uint32_t>(head_key, static_cast<uint32_t>(tile.row(r)));
      general_row(call, tile, seen, terms, sloped, s.bias + r * kPitch, weights, dscores);
    }
    clear_outside(weights, seen, whole_vectors(tile.keys));
    clear_outside(dscores, seen, whole_vectors(tile.keys));
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
