// SPDX-License-Identifier: Apache-2.0
/**
 *   c = x - mean      xhat = (c - shift) * rstd      g = dy * (gamma + offset)      shift = mean(x - mean)
 *   dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) (+ dsum)          (RMS norm: no mean(g), no shift)
 *   dgamma = column sum of dy * xhat      dbeta = column sum of dy
 *
 * A block owns rows_per_block rows; kLanes threads share one at a time, as in norm_forward.h, and keep their columns'
 * shares of dgamma and dbeta in registers from row to row. At the end the block adds those of its groups of lanes in
 * order, and writes one row of partial sums; norm_column_sums adds the blocks' rows in order. The blocks follow from
 * the shape alone, so results are the same on every chip. kChunks = 0: x and dy are read twice, and partial sums are
 * kept in memory, in a row of each group; any row that is not whole chunks at aligned places goes that way.
 *
 * The saved mean is rounded to float32: shift corrects it. One reduction takes the sums of c, g and g * c.
 */
#pragma once

#include "cuda/kernels/norm_rows.h"

namespace tfxf {
namespace cuda {

template <int kLanes, int kChunks>
struct NormBackward {
  static constexpr int kGroups = kNormThreads / kLanes;
  static constexpr int kHeld = kChunks > 0 ? kChunks : 1;

  const NormBackwardParams& p;
  const RowsIn x, dy, gamma, dsum;
  const int lane, group;
  const bool whole;
  float c[kHeld][8], d[kHeld][8];
  float dgamma[kHeld][8], dbeta[kHeld][8];

  TFXF_DEVICE explicit NormBackward(const NormBackwardParams& params)
      : p(params),
        x(rows_in(p.x, p.x_is_bf16, p.columns)),
        dy(rows_in(p.dy, 0, p.columns)),
        gamma(rows_in(p.gamma, p.gamma_is_bf16, p.columns)),
        dsum(rows_in(p.dsum, 0, p.columns)),
        lane(thread_index() % kLanes),
        group(thread_index() / kLanes),
        whole(kChunks > 0 || p.in_chunks != 0) {}

  TFXF_DEVICE int32_t column_of(int n) const { return 8 * (n * kLanes + lane); }

  /** x - mean and dy; zero beyond the row's end. */
  TFXF_DEVICE void load(float (&centred)[8], float (&dys)[8], int64_t row, bool exists, int32_t column, float mean) const {
    const int32_t columns = exists ? p.columns : 0;
    load_chunk(centred, x, row, column, columns, whole);
    load_chunk(dys, dy, row, column, columns, whole);
#pragma unroll
    for (int n = 0; n < 8; n++) centred[n] = column + n < columns ? centred[n] - mean : 0.0f;
  }

  TFXF_DEVICE void load_weight(float (&weight)[8], int32_t column) const {
    if (p.gamma != nullptr) {
      load_chunk(weight, gamma, 0, column, p.columns, whole);
#pragma unroll
      for (int n = 0; n < 8; n++) weight[n] += p.weight_offset;
    } else {
#pragma unroll
      for (int n = 0; n < 8; n++) weight[n] = 1.0f;
    }
  }

  TFXF_DEVICE void add_sums(float (&sums)[3], const float (&centred)[8], const float (&dys)[8], int32_t column) const {
    float weight[8];
    load_weight(weight, column);
#pragma unroll
    for (int n = 0; n < 8; n++) {
      const float g = dys[n] * weight[n];
      sums[0] += centred[n];
      sums[1] += g;
      sums[2] += g * centred[n];
    }
  }

  struct RowSums {
    float shift, rstd, mean_g, mean_gx;
  };

  TFXF_DEVICE void write(const float (&centred)[8], const float (&dys)[8], int64_t row, int32_t column,
                         const RowSums& r, float (&share_gamma)[8], float (&share_beta)[8]) const {
    float weight[8], dx[8];
    load_weight(weight, column);
#pragma unroll
    for (int n = 0; n < 8; n++) {
      const float xhat = column + n < p.columns ? (centred[n] - r.shift) * r.rstd : 0.0f;
      dx[n] = (dys[n] * weight[n] - r.mean_g - xhat * r.mean_gx) * r.rstd;
      share_gamma[n] += dys[n] * xhat;
      share_beta[n] += dys[n];
    }
    if (p.dsum != nullptr) {
      load_chunk(weight, dsum, row, column, p.columns, whole);
#pragma unroll
      for (int n = 0; n < 8; n++) dx[n] += weight[n];
    }
    store_floats(p.dx, row, column, p.columns, dx, whole);
  }

  /** All threads of the block call this the same number of times; those whose row does not exist compute nothing. */
  TFXF_DEVICE void one_row(int64_t row, bool exists) {
    const float mean = exists && p.rms == 0 ? p.stats[2 * row] : 0.0f;
    const float rstd = exists ? p.stats[2 * row + 1] : 0.0f;
    float sums[3] = {0.0f, 0.0f, 0.0f};
    if (kChunks > 0) {
#pragma unroll
      for (int n = 0; n < kHeld; n++) {
        load(c[n], d[n], row, exists, column_of(n), mean);
        add_sums(sums, c[n], d[n], column_of(n));
      }
    } else {
      for (int32_t column = 8 * lane; column < p.columns; column += 8 * kLanes) {
        load(c[0], d[0], row, exists, column, mean);
        add_sums(sums, c[0], d[0], column);
      }
    }
    sum_lanes<kLanes>(sums);
    if (!exists) return;
    const float length = static_cast<float>(p.columns);
    RowSums r = {p.rms != 0 ? 0.0f : sums[0] / length, rstd, p.rms != 0 ? 0.0f : sums[1] / length, 0.0f};
    r.mean_gx = (sums[2] - r.shift * sums[1]) / length * rstd;
    if (kChunks > 0) {
#pragma unroll
      for (int n = 0; n < kHeld; n++) {
        if (column_of(n) < p.columns) write(c[n], d[n], row, column_of(n), r, dgamma[n], dbeta[n]);
      }
    } else {
      for (int32_t column = 8 * lane; column < p.columns; column += 8 * kLanes) {
        load(c[0], d[0], row, true, column, mean);
        load_share(p.dgamma_parts, dgamma[0], column);
        load_share(p.dbeta_parts, dbeta[0], column);
        write(c[0], d[0], row, column, r, dgamma[0], dbeta[0]);
        keep_share(p.dgamma_parts, dgamma[0], column);
        keep_share(p.dbeta_parts, dbeta[0], column);
      }
    }
  }

  TFXF_DEVICE int64_t parts_row() const { return block_index() * kGroups + group; }
  TFXF_DEVICE void load_share(const float* parts, float (&share)[8], int32_t column) const {
    if (parts != nullptr) load_chunk(share, {parts, false, p.columns}, parts_row(), column, p.columns, whole);
  }
  TFXF_DEVICE void keep_share(float* parts, const float (&share)[8], int32_t column) const {
    if (parts != nullptr) store_floats(parts, parts_row(), column, p.columns, share, whole);
  }

  /** The block's partial sums: those of its groups, in order. */
  TFXF_DEVICE void write_shares(float* parts, const float (&share)[kHeld][8]) const {
    if (parts == nullptr) return;
    constexpr int kColumns = kLanes * 8 * kHeld;
    float* const all = reinterpret_cast<float*>(shared_memory());
    sync_threads();
#pragma unroll
    for (int n = 0; n < kHeld; n++) {
#pragma unroll
      for (int e = 0; e < 8; e++) all[group * kColumns + column_of(n) + e] = share[n][e];
    }
    sync_threads();
    for (int32_t column = thread_index(); column < p.columns; column += kNormThreads) {
      float sum = 0.0f;
      for (int n = 0; n < kGroups; n++) sum += all[n * kColumns + column];
      parts[block_index() * p.columns + column] = sum;
    }
  }

  TFXF_DEVICE void run() {
#pragma unroll
    for (int n = 0; n < kHeld; n++) {
#pragma unroll
      for (int e = 0; e < 8; e++) dgamma[n][e] = dbeta[n][e] = 0.0f;
    }
    if (kChunks == 0) {
      for (int32_t column = 8 * lane; column < p.columns; column += 8 * kLanes) {
        keep_share(p.dgamma_parts, dgamma[0], column);
        keep_share(p.dbeta_parts, dbeta[0], column);
      }
    }
    const int64_t begin = block_index() * p.rows_per_block;
    const int64_t stop = begin + p.rows_per_block;
    const int64_t end = stop < p.rows ? stop : p.rows;
    for (int64_t row = begin; row < end; row += kGroups) one_row(row + group, row + group < end);
    if (kChunks == 0) return;
    write_shares(p.dgamma_parts, dgamma);
    write_shares(p.dbeta_parts, dbeta);
  }
};

template <int kLanes, int kChunks>
TFXF_DEVICE void norm_backward(const NormBackwardParams& params) {
  NormBackward<kLanes, kChunks>(params).run();
}

/** A block adds 32 columns of all rows: 8 threads to a column, then those 8 in order. */
TFXF_DEVICE void norm_column_sums(const ColumnSumParams& p) {
  float* const sums = reinterpret_cast<float*>(shared_memory());
  const int64_t column = block_index() * 32 + lane_index();
  float sum = 0.0f;
  if (column < p.columns) {
    for (int32_t n = warp_index(); n < p.blocks; n += kNormWarps) sum += p.parts[static_cast<int64_t>(n) * p.columns + column];
  }
  sums[thread_index()] = sum;
  sync_threads();
  if (warp_index() != 0 || column >= p.columns) return;
  sum = 0.0f;
  for (int w = 0; w < kNormWarps; w++) sum += sums[32 * w + lane_index()];
  p.sums[column] = sum;
}

}  // namespace cuda
}  // namespace tfxf
