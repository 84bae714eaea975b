// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, forward: out = softmax(scores) V and logSumExp, one pass over the keys with a running maximum m and sum l.
 *
 * A block owns a tile of query rows (attention_rows.h); each warp owns kM stripes of 16 of them with their sums in
 * registers. Tiles of keys and values come into kStages places in shared memory, the next one while this one is used;
 * only tiles that some row of the block sees are loaded.
 *
 * kPlain: the score is dot * scale with scale > 0, and m is kept in units of the dot product, p = exp2((dot - m) scale
 * log2 e): two operations a score, and exactly 1 at the maximum. Otherwise scores go through full_score() and are in
 * natural units, and dropout drops weights after they are summed.
 *
 * A block whose call has several splits writes its own normalized sums and logSumExp; attention_combine.h joins them.
 */
#pragma once

#include "cuda/kernels/attention_output.h"
#include "cuda/kernels/tile_mend.h"
#include "cuda/kernels/tile_stream.h"

namespace tfxf {
namespace cuda {

/** Running sums of a warp's rows; index e: row g or g + 8 of a stripe. */
template <int kM, int kDim>
struct ForwardState {
  float o[kM][kDim / 8][4];
  float m[kM][2], l[kM][2];
};

template <typename Tiles, bool kPlain>
struct AttentionForward {
  using T = typename Tiles::Element;
  static constexpr int kM = Tiles::kM, kN = Tiles::kN, kDim = Tiles::kDim, kThreads = Tiles::kThreads;
  static constexpr int kRows = Tiles::kRows, kKeys = Tiles::kStreamed;

  const AttentionForwardParams& params;
  const AttentionParams& p;
  const Place place;
  unsigned char* const shared;
  ForwardState<kM, kDim> state;

  TFXF_DEVICE explicit AttentionForward(const AttentionForwardParams& all)
      : params(all), p(all.common), place(place_of<kRows>(all.common, all.common.together)), shared(shared_memory()) {}

  TFXF_DEVICE unsigned char* key_tile(int stage) const { return shared + Tiles::kRowsBytes + 2 * stage * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* value_tile(int stage) const { return key_tile(stage) + Tiles::kTileBytes; }
  TFXF_DEVICE int row_of(int m, int e) const {
    return 16 * (kM * warp_index() + m) + (lane_index() >> 2) + 8 * e;
  }

  /** body(m, e) for the rows of this lane. */
  template <typename Body>
  TFXF_DEVICE static void for_rows(const Body& body) {
#pragma unroll
    for (int m = 0; m < kM; m++) {
#pragma unroll
      for (int e = 0; e < 2; e++) body(m, e);
    }
  }

  TFXF_DEVICE void load_queries() const {
    load_tile<T, kRows, kDim, kThreads>(shared, p.query, [&](int r) -> const T* {
      const QueryRow row = query_row(p, place, r);
      if (!row.exists) return nullptr;
      return row_pointer<T>(p.query, place.batch, place.sequence.q_start + row.i, row.head);
    });
  }

  TFXF_DEVICE void load_keys(int stage, int32_t j0) const {
    const int32_t head = key_head(p, place);
    const auto from = [&](const HeadsParams& heads) {
      return [&, head](int r) -> const T* {
        if (j0 + r >= place.sequence.mask.k_length) return nullptr;
        return row_pointer<T>(heads, place.batch, key_row(place.sequence, j0 + r), head);
      };
    };
    load_tile<T, kKeys, kDim, kThreads>(key_tile(stage), p.key, from(p.key));
    load_tile<T, kKeys, kDim, kThreads>(value_tile(stage), p.value, from(p.value));
  }

  /** Scores of hidden keys become -Infinity; all others what softmax sees. */
  TFXF_DEVICE void finish_scores(float (&s)[kM][kN][4], int32_t j0, bool some_hidden) const {
    const int t = lane_index() & 3;
    for_rows([&](int m, int e) {
      const QueryRow row = query_row(p, place, row_of(m, e));
#pragma unroll
      for (int n = 0; n < kN; n++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          float& x = s[m][n][2 * e + c];
          const int32_t j = j0 + 8 * n + 2 * t + c;
          if (some_hidden && !(row.exists && visible(place.sequence.mask, row.i, j))) {
            x = -infinity();
          } else if (!kPlain) {
            x = full_score(p, x, place.batch, row.head, row.i, j);
          }
        }
      }
    });
  }

  /** From scores to weights; m, l and o are brought up to date. */
  TFXF_DEVICE void weigh(float (&s)[kM][kN][4]) {
    const float unit = kPlain ? p.scale * kLog2E : kLog2E;
    for_rows([&](int m, int e) {
      float most = s[m][0][2 * e];
#pragma unroll
      for (int n = 0; n < kN; n++) most = fmaxf(most, fmaxf(s[m][n][2 * e], s[m][n][2 * e + 1]));
      const float before = state.m[m][e], now = fmaxf(before, row_max(most));
      const float base = now == -infinity() ? 0.0f : now;
      const float shrink = power_of_two((before - base) * unit);
      float sum = 0.0f;
#pragma unroll
      for (int n = 0; n < kN; n++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          float& x = s[m][n][2 * e + c];
          x = power_of_two((x - base) * unit);
          sum += x;
        }
      }
      state.m[m][e] = now;
      state.l[m][e] = state.l[m][e] * shrink + sum;
#pragma unroll
      for (int d = 0; d < kDim / 8; d++) {
        state.o[m][d][2 * e] *= shrink;
        state.o[m][d][2 * e + 1] *= shrink;
      }
    });
  }

  TFXF_DEVICE void drop(float (&s)[kM][kN][4], int32_t j0) const {
    const int t = lane_index() & 3;
    for_rows([&](int m, int e) {
      const QueryRow row = query_row(p, place, row_of(m, e));
      const uint32_t row_key = row_key_of(p, place.batch, row.head, place.sequence.q_start + row.i);
#pragma unroll
      for (int n = 0; n < kN; n++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          const int32_t j = j0 + 8 * n + 2 * t + c;
          if (j < place.sequence.mask.k_length && !is_kept(p, row_key, key_row(place.sequence, j))) {
            s[m][n][2 * e + c] = 0.0f;
          }
        }
      }
    });
  }

  TFXF_DEVICE void attend(int stage, int32_t j0) {
    const TileMask& mask = place.sequence.mask;
    const int32_t i0 = place.row0 / p.pack, i1 = (place.row0 + kRows - 1) / p.pack + 1;
    const bool some_hidden = !all_visible(mask, i0, i1, j0, j0 + kKeys);
    float s[kM][kN][4] = {};
    scores<kDim>(T(), s, shared, 16 * kM * warp_index(), key_tile(stage));
    if (!kPlain || some_hidden) finish_scores(s, j0, some_hidden);
    weigh(s);
    if (!kPlain && p.threshold > 0) drop(s, j0);
    if (some_hidden || (!kPlain && p.bias.kind != 0)) {
      mend_tile<T, kDim, kThreads>(state.o, s, value_tile(stage));
    }
    accumulate<kDim>(T(), state.o, s, value_tile(stage));
  }

  TFXF_DEVICE void finish() const {
    for_rows([&](int m, int e) {
      const float most = state.m[m][e], sum = row_sum(state.l[m][e]);
      // A row whose scores are all NaN has no maximum, and a sum that is NaN.
      const bool sees = most != -infinity() || sum != 0.0f;
      finish_row<false>(params, place, query_row(p, place, row_of(m, e)), {kPlain ? product(most, p.scale) : most, sum, sees},
                 state.o[m], e);
    });
  }

  TFXF_DEVICE void run() {
    for_rows([&](int m, int e) {
      state.m[m][e] = -infinity();
      state.l[m][e] = 0.0f;
#pragma unroll
      for (int d = 0; d < kDim / 8; d++) state.o[m][d][2 * e] = state.o[m][d][2 * e + 1] = 0.0f;
    });
    const TileMask& mask = place.sequence.mask;
    const int32_t i0 = place.row0 / p.pack;
    const int32_t i1 = smaller((place.row0 + kRows - 1) / p.pack + 1, mask.q_length);
    const Range keys = part_of(visible_keys(mask, i0, i1), kKeys, place.split, p.splits);
    load_queries();
    stream_keys<Tiles::kStages, kKeys>(
        keys.begin / kKeys * kKeys, keys.end, [&](int stage, int32_t j0) { load_keys(stage, j0); },
        [&](int stage, int32_t j0) { attend(stage, j0); });
    finish();
  }
};

template <typename Tiles, bool kPlain>
TFXF_DEVICE void attention_forward(const AttentionForwardParams& params) {
  AttentionForward<Tiles, kPlain>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
