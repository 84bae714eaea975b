// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward: dK and dV of a tile of keys (query_tiles.h). K and V stay in shared memory, tiles of Q and dO that
 * see any of these keys are streamed. Products are transposed against dQ's: scores are K Q^T, with a row for each key.
 *
 * kParts: 1 = dK, 2 = dV, 3 = both. At 256 columns the sums of both do not fit in registers: two launches.
 */
#pragma once

#include "cuda/kernels/attention_backward_rows.h"
#include "cuda/kernels/query_tiles.h"

namespace tfxf {
namespace cuda {

template <typename Tiles, int kParts>
struct AttentionDKeys {
  using T = typename Tiles::Element;
  static constexpr int kN = Tiles::kN, kDim = Tiles::kDim, kThreads = Tiles::kThreads;
  static constexpr int kRows = Tiles::kRows, kQueries = Tiles::kStreamed;
  static constexpr bool kKey = (kParts & 1) != 0, kValue = (kParts & 2) != 0;

  const AttentionBackwardParams& params;
  const AttentionParams& p;
  const KeyPlace<kRows, kQueries, false> place;
  unsigned char *const key_tile, *const value_tile, *const streamed;
  float dkey[1][kKey ? kDim / 8 : 1][4], dvalue[1][kValue ? kDim / 8 : 1][4];

  TFXF_DEVICE explicit AttentionDKeys(const AttentionBackwardParams& all)
      : params(all),
        p(all.common),
        place(all.common),
        key_tile(shared_memory()),
        value_tile(key_tile + Tiles::kRowsBytes),
        streamed(value_tile + Tiles::kRowsBytes) {}

  TFXF_DEVICE unsigned char* query_tile(int stage) const { return streamed + 2 * stage * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* doutput_tile(int stage) const { return query_tile(stage) + Tiles::kTileBytes; }
  TFXF_DEVICE int32_t key_of(int e) const { return 16 * warp_index() + (lane_index() >> 2) + 8 * e; }

  TFXF_DEVICE void load_keys() const {
    const auto from = [&](const HeadsParams& heads) {
      return [&](int r) {
        const bool there = place.j0 + r < place.keys_here();
        return row_or_null<T>(heads, place.batch, there ? place.row_of(r) : 0, place.head, there);
      };
    };
    load_tile<T, kRows, kDim, kThreads>(key_tile, p.key, from(p.key));
    load_tile<T, kRows, kDim, kThreads>(value_tile, p.value, from(p.value));
  }

  TFXF_DEVICE void load_queries(int stage, const QueryTiles& q) const {
    const auto from = [&](const HeadsParams& heads) {
      return [&](int r) {
        const bool there = q.i0 + r < q.sequence.mask.q_length;
        return row_or_null<T>(heads, place.batch, q.sequence.q_start + q.i0 + r, q.head, there);
      };
    };
    load_tile<T, kQueries, kDim, kThreads>(query_tile(stage), p.query, from(p.query));
    load_tile<T, kQueries, kDim, kThreads>(doutput_tile(stage), params.doutput, from(params.doutput));
  }

  TFXF_DEVICE void add_queries(int stage, const QueryTiles& q) {
    const TileMask& mask = q.sequence.mask;
    const int32_t first = place.first_key(q.sequence);
    const bool some_hidden = place.hides(q);
    float s[1][kN][4], dweight[1][kN][4];
    clear(s);
    clear(dweight);
    scores<kDim>(T(), s, key_tile, 16 * warp_index(), query_tile(stage));
    scores<kDim>(T(), dweight, value_tile, 16 * warp_index(), doutput_tile(stage));
    const int t = lane_index() & 3;
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        const int32_t i = q.i0 + 8 * n + 2 * t + c;
        const BackwardQuery query =
            backward_query(params, place.batch, q.head, q.sequence.q_start + i, i < mask.q_length);
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int32_t j = first + key_of(e);
          float &x = s[0][n][2 * e + c], &y = dweight[0][n][2 * e + c];
          if (some_hidden && !(i < mask.q_length && j >= 0 && visible(mask, i, j))) {
            x = y = 0.0f;
          } else {
            const int32_t row = needs_key_row(p) ? place.row_of(key_of(e)) : 0;
            const BackwardCell cell = backward_cell(p, query, x, y, row);
            x = cell.ds == 0.0f ? 0.0f : cell.ds * cell.slope;
            y = cell.kept;
          }
        }
      }
    }
    const bool mends = some_hidden || p.bias.kind != 0;
    if constexpr (kKey) {
      if (mends) mend_tile<T, kDim, kThreads>(dkey, s, query_tile(stage));
      accumulate<kDim>(T(), dkey, s, query_tile(stage));
    }
    if constexpr (kValue) {
      if (mends) mend_tile<T, kDim, kThreads>(dvalue, dweight, doutput_tile(stage));
      accumulate<kDim>(T(), dvalue, dweight, doutput_tile(stage));
    }
  }

  TFXF_DEVICE void write() const {
    const auto to = [&](int e) { return place.gradient_row(key_of(e)); };
    if constexpr (kKey) store_rows<kDim>(params.dkey, dkey[0], p.key.dim, p.scale, to);
    if constexpr (kValue) store_rows<kDim>(params.dvalue, dvalue[0], p.value.dim, 1.0f, to);
  }

  TFXF_DEVICE void run() {
    clear(dkey);
    clear(dvalue);
    load_keys();
    stream_tiles<Tiles::kStages>(
        place.first_queries(), [&](const QueryTiles& q) { return place.is_there(q); },
        [&](const QueryTiles& q) { return place.after(q); },
        [&](int stage, const QueryTiles& q) { load_queries(stage, q); },
        [&](int stage, const QueryTiles& q) { add_queries(stage, q); });
    write();
  }
};

template <typename Tiles, int kParts>
TFXF_DEVICE void attention_dkeys(const AttentionBackwardParams& params) {
  AttentionDKeys<Tiles, kParts>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
