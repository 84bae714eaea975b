// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward: dQ. A block owns a tile of query rows of one head, as forward does; Q and dO stay in shared
 * memory, tiles of K and V that a row of the block sees are streamed. dQ is in registers, so nothing is added up in
 * memory, and the order of the keys is fixed.
 */
#pragma once

#include "cuda/kernels/attention_backward_rows.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct AttentionDQuery {
  using T = typename Tiles::Element;
  static constexpr int kN = Tiles::kN, kDim = Tiles::kDim, kThreads = Tiles::kThreads;
  static constexpr int kRows = Tiles::kRows, kKeys = Tiles::kStreamed;

  const AttentionBackwardParams& params;
  const AttentionParams& p;
  const Place place;
  unsigned char *const query_tile, *const doutput_tile, *const streamed;
  float dquery[1][kDim / 8][4];
  BackwardQuery query[2];

  TFXF_DEVICE explicit AttentionDQuery(const AttentionBackwardParams& all)
      : params(all),
        p(all.common),
        place(place_of<kRows>(all.common)),
        query_tile(shared_memory()),
        doutput_tile(query_tile + Tiles::kRowsBytes),
        streamed(doutput_tile + Tiles::kRowsBytes) {}

  TFXF_DEVICE unsigned char* key_tile(int stage) const { return streamed + 2 * stage * Tiles::kTileBytes; }
  TFXF_DEVICE unsigned char* value_tile(int stage) const { return key_tile(stage) + Tiles::kTileBytes; }
  TFXF_DEVICE int32_t query_of(int e) const { return place.row0 + 16 * warp_index() + (lane_index() >> 2) + 8 * e; }
  TFXF_DEVICE bool exists(int32_t i) const { return i < place.sequence.mask.q_length; }

  TFXF_DEVICE void load_queries() const {
    const auto from = [&](const HeadsParams& heads) {
      return [&](int r) {
        const int32_t i = place.row0 + r;
        return row_or_null<T>(heads, place.batch, place.sequence.q_start + i, place.head, exists(i));
      };
    };
    load_tile<T, kRows, kDim, kThreads>(query_tile, p.query, from(p.query));
    load_tile<T, kRows, kDim, kThreads>(doutput_tile, params.doutput, from(params.doutput));
  }

  TFXF_DEVICE void load_keys(int stage, int32_t j0) const {
    const int32_t head = key_head(p, place);
    const auto from = [&](const HeadsParams& heads) {
      return [&, head](int r) {
        const bool there = j0 + r < place.sequence.mask.k_length;
        return row_or_null<T>(heads, place.batch, there ? key_row(place.sequence, j0 + r) : 0, head, there);
      };
    };
    load_tile<T, kKeys, kDim, kThreads>(key_tile(stage), p.key, from(p.key));
    load_tile<T, kKeys, kDim, kThreads>(value_tile(stage), p.value, from(p.value));
  }

  TFXF_DEVICE void add_keys(int stage, int32_t j0) {
    const TileMask& mask = place.sequence.mask;
    const bool some_hidden = !all_visible(mask, place.row0, place.row0 + kRows, j0, j0 + kKeys);
    float s[1][kN][4], dweight[1][kN][4];
    clear(s);
    clear(dweight);
    scores<kDim>(T(), s, query_tile, 16 * warp_index(), key_tile(stage));
    scores<kDim>(T(), dweight, doutput_tile, 16 * warp_index(), value_tile(stage));
    const int t = lane_index() & 3;
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const int32_t j = j0 + 8 * n + 2 * t + (c & 1), i = query_of(c >> 1);
        float& x = s[0][n][c];
        if (some_hidden && !(exists(i) && visible(mask, i, j))) {
          x = 0.0f;
        } else {
          const int32_t row = needs_key_row(p) ? key_row(place.sequence, j) : 0;
          const BackwardCell cell = backward_cell(p, query[c >> 1], x, dweight[0][n][c], row);
          x = cell.ds == 0.0f ? 0.0f : cell.ds * cell.slope;
        }
      }
    }
    if (some_hidden || p.bias.kind != 0) mend_tile<T, kDim, kThreads>(dquery, s, key_tile(stage));
    accumulate<kDim>(T(), dquery, s, key_tile(stage));
  }

  TFXF_DEVICE void run() {
    clear(dquery);
    for (int e = 0; e < 2; e++) {
      const int32_t i = query_of(e);
      query[e] = backward_query(params, place.batch, place.head, place.sequence.q_start + i, exists(i));
    }
    const TileMask& mask = place.sequence.mask;
    const Range keys = visible_keys(mask, place.row0, smaller(place.row0 + kRows, mask.q_length));
    load_queries();
    stream_keys<Tiles::kStages, kKeys>(
        keys.begin / kKeys * kKeys, keys.end, [&](int stage, int32_t j0) { load_keys(stage, j0); },
        [&](int stage, int32_t j0) { add_keys(stage, j0); });
    store_rows<kDim>(params.dquery, dquery[0], p.query.dim, p.scale, [&](int e) -> int64_t {
      const int32_t i = query_of(e);
      if (!exists(i)) return -1;
      return (static_cast<int64_t>(place.batch) * p.queries + place.sequence.q_start + i) * p.heads + place.head;
    });
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_dquery(const AttentionBackwardParams& params) {
  AttentionDQuery<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
