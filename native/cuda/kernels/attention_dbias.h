// SPDX-License-Identifier: Apache-2.0
/**
 * Attention, backward: the gradient of a bias, which may be broadcast along any axis. A block owns a tile of bias
 * elements: kRows queries by kStreamed keys, or all of an axis along which the bias is broadcast. It goes through every
 * (batch item, head, tile) that shares those elements, computes ds of each as dQ does, and adds them in registers, in a
 * fixed order; the axes that are broadcast are added up at the end.
 */
#pragma once

#include "cuda/kernels/attention_backward_rows.h"

namespace tfxf {
namespace cuda {

template <typename Tiles>
struct AttentionDBias {
  using T = typename Tiles::Element;
  static constexpr int kN = Tiles::kN, kDim = Tiles::kDim, kThreads = Tiles::kThreads;
  static constexpr int kRows = Tiles::kRows, kKeys = Tiles::kStreamed, kWarps = kThreads / 32;

  const AttentionBackwardParams& params;
  const AttentionParams& p;
  unsigned char *const query_tile, *const doutput_tile, *const key_tile, *const value_tile;
  const Sequence sequence;
  float sum[kN][4];

  TFXF_DEVICE explicit AttentionDBias(const AttentionBackwardParams& all)
      : params(all),
        p(all.common),
        query_tile(shared_memory()),
        doutput_tile(query_tile + Tiles::kRowsBytes),
        key_tile(doutput_tile + Tiles::kRowsBytes),
        value_tile(key_tile + Tiles::kTileBytes),
        sequence(sequence_of(all.common, 0)) {}

  TFXF_DEVICE int32_t row_of(int e) const { return 16 * warp_index() + (lane_index() >> 2) + 8 * e; }
  TFXF_DEVICE int32_t column_of(int n, int c) const { return 8 * n + 2 * (lane_index() & 3) + c; }

  template <int kCount>
  TFXF_DEVICE void load(unsigned char* tile, const HeadsParams& heads, int32_t b, int32_t head, int32_t first,
                        int32_t end) const {
    load_tile<T, kCount, kDim, kThreads>(
        tile, heads, [&](int r) { return row_or_null<T>(heads, b, first + r, head, first + r < end); });
  }

  TFXF_DEVICE void add_tile(int32_t b, int32_t h, int32_t i0, int32_t j0) {
    const TileMask& mask = sequence.mask;
    const Range seen = visible_keys(mask, i0, smaller(i0 + kRows, p.queries));
    if (larger(seen.begin, j0) >= smaller(seen.end, j0 + kKeys)) return;
    const int32_t key_head = h / (p.heads / p.kv_heads);
    sync_threads();  // the tiles before these have been read
    load<kRows>(query_tile, p.query, b, h, i0, p.queries);
    load<kRows>(doutput_tile, params.doutput, b, h, i0, p.queries);
    load<kKeys>(key_tile, p.key, b, key_head, j0, p.keys);
    load<kKeys>(value_tile, p.value, b, key_head, j0, p.keys);
    copy_commit();
    copy_wait<0>();
    sync_threads();
    float s[1][kN][4], dweight[1][kN][4];
    clear(s);
    clear(dweight);
    scores<kDim>(T(), s, query_tile, 16 * warp_index(), key_tile);
    scores<kDim>(T(), dweight, doutput_tile, 16 * warp_index(), value_tile);
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int32_t i = i0 + row_of(e);
      const BackwardQuery query = backward_query(params, b, h, i, i < p.queries);
#pragma unroll
      for (int n = 0; n < kN; n++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
          const int32_t j = j0 + column_of(n, c);
          if (i < p.queries && visible(mask, i, j)) {
            sum[n][2 * e + c] += backward_cell(p, query, s[0][n][2 * e + c], dweight[0][n][2 * e + c], j).ds;
          }
        }
      }
    }
  }

  /** Column sums over the rows of all warps, in every row of `sum`. */
  TFXF_DEVICE void add_rows() {
    float* const parts = reinterpret_cast<float*>(shared_memory());
    sync_threads();
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        float x = sum[n][c] + sum[n][2 + c];
        for (int mask = 4; mask < 32; mask *= 2) x += shuffle_xor(x, mask);
        if (lane_index() < 4) parts[warp_index() * kKeys + column_of(n, c)] = x;
      }
    }
    sync_threads();
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 2; c++) {
        float x = 0.0f;
        for (int w = 0; w < kWarps; w++) x += parts[w * kKeys + column_of(n, c)];
        sum[n][c] = sum[n][2 + c] = x;
      }
    }
  }

  /** Row sums over all columns, in every column of `sum`. */
  TFXF_DEVICE void add_columns() {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      float x = 0.0f;
#pragma unroll
      for (int n = 0; n < kN; n++) x += sum[n][2 * e] + sum[n][2 * e + 1];
      x = row_sum(x);
#pragma unroll
      for (int n = 0; n < kN; n++) sum[n][2 * e] = sum[n][2 * e + 1] = x;
    }
  }

  TFXF_DEVICE void run() {
    const int32_t* shape = params.dbias_shape;
    int64_t rest = block_index();
    const int32_t key_tile_index = static_cast<int32_t>(rest % params.dbias_tiles[1]);
    rest /= params.dbias_tiles[1];
    const int32_t query_tile_index = static_cast<int32_t>(rest % params.dbias_tiles[0]);
    rest /= params.dbias_tiles[0];
    const int32_t h = static_cast<int32_t>(rest % shape[1]), b = static_cast<int32_t>(rest / shape[1]);
    const bool all_queries = shape[2] == 1, all_keys = shape[3] == 1;
    const int32_t i0 = query_tile_index * kRows, j0 = key_tile_index * kKeys;
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 4; c++) sum[n][c] = 0.0f;
    }
    for (int32_t bb = b; bb < (shape[0] == 1 ? p.batch : b + 1); bb++) {
      for (int32_t hh = h; hh < (shape[1] == 1 ? p.heads : h + 1); hh++) {
        for (int32_t i = i0; i < (all_queries ? p.queries : i0 + 1); i += kRows) {
          for (int32_t j = j0; j < (all_keys ? p.keys : j0 + 1); j += kKeys) add_tile(bb, hh, i, j);
        }
      }
    }
    if (all_queries) add_rows();
    if (all_keys) add_columns();
#pragma unroll
    for (int n = 0; n < kN; n++) {
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const int32_t i = i0 + row_of(c >> 1), j = j0 + column_of(n, c & 1);
        if (i < shape[2] && j < shape[3]) {
          const int64_t row = (static_cast<int64_t>(b) * shape[1] + h) * shape[2] + i;
          params.dbias[row * shape[3] + j] = sum[n][c];
        }
      }
    }
  }
};

template <typename Tiles>
TFXF_DEVICE void attention_dbias(const AttentionBackwardParams& params) {
  AttentionDBias<Tiles>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
