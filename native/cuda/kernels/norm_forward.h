// SPDX-License-Identifier: Apache-2.0
/**
 *   h = x (+ residual)     y = (h - mean) * rstd * (gamma + offset) + beta     RMS norm: no mean, no beta
 *
 * kLanes threads own a row and hold kChunks chunks of 8 columns each, so x is read once: 8 lanes for 64 columns, two
 * rows a warp for QK-norm's 128, a block for thousands. kChunks = 0: the row is too long to hold, or not whole
 * chunks at aligned places; it is read again (from the L2 cache) in each of three passes.
 *
 * The mean is x[0] + mean(h - x[0]), the variance that of the centred values: no cancellation at large offsets.
 * Everything is float32. Source: two-pass formulas; nothing is estimated while it streams.
 */
#pragma once

#include "cuda/kernels/norm_rows.h"

namespace tfxf {
namespace cuda {

template <int kLanes, int kChunks>
struct NormForward {
  static constexpr int kRowsOfBlock = kNormThreads / kLanes;
  static constexpr int kHeld = kChunks > 0 ? kChunks : 1;

  const NormParams& p;
  const RowsIn x, residual, gamma, beta;
  const int lane;
  const int64_t row;
  const bool exists, whole;
  float held[kHeld][8];

  TFXF_DEVICE explicit NormForward(const NormParams& params)
      : p(params),
        x(rows_in(p.x, p.x_is_bf16, p.columns)),
        residual(rows_in(p.residual, p.residual_is_bf16, p.columns)),
        gamma(rows_in(p.gamma, p.gamma_is_bf16, p.columns)),
        beta(rows_in(p.beta, p.beta_is_bf16, p.columns)),
        lane(thread_index() % kLanes),
        row(block_index() * kRowsOfBlock + thread_index() / kLanes),
        exists(row < p.rows),
        whole(kChunks > 0 || p.in_chunks != 0) {}

  /** Calls visit(chunk of h, its first column) for this thread's chunks; `load` fills the held ones first. */
  template <typename Visit>
  TFXF_DEVICE void each_chunk(const Visit& visit) {
    if (kChunks > 0) {
#pragma unroll
      for (int n = 0; n < kHeld; n++) visit(held[n], 8 * (n * kLanes + lane));
    } else {
      for (int32_t column = 8 * lane; column < p.columns; column += 8 * kLanes) {
        float h[8];
        load(h, column);
        visit(h, column);
      }
    }
  }

  TFXF_DEVICE void load(float (&h)[8], int32_t column) const {
    if (!exists) {
#pragma unroll
      for (int n = 0; n < 8; n++) h[n] = 0.0f;
      return;
    }
    load_chunk(h, x, row, column, p.columns, whole);
    if (p.residual == nullptr) return;
    float more[8];
    load_chunk(more, residual, row, column, p.columns, whole);
#pragma unroll
    for (int n = 0; n < 8; n++) h[n] += more[n];
  }

  TFXF_DEVICE float first_value() const {
    if (p.rms != 0 || !exists || p.columns == 0) return 0.0f;
    return load_one(x, row, 0) + (p.residual != nullptr ? load_one(residual, row, 0) : 0.0f);
  }

  TFXF_DEVICE void write(const float (&h)[8], int32_t column, float first, float mean, float rstd) const {
    if (column >= p.columns) return;
    float weight[8], y[8];
    if (p.gamma != nullptr) {
      load_chunk(weight, gamma, 0, column, p.columns, whole);
#pragma unroll
      for (int n = 0; n < 8; n++) weight[n] += p.weight_offset;
    } else {
#pragma unroll
      for (int n = 0; n < 8; n++) weight[n] = 1.0f;
    }
#pragma unroll
    for (int n = 0; n < 8; n++) y[n] = (h[n] - first - mean) * rstd * weight[n];
    if (p.beta != nullptr) {
      load_chunk(weight, beta, 0, column, p.columns, whole);
#pragma unroll
      for (int n = 0; n < 8; n++) y[n] += weight[n];
    }
    if (p.output_is_bf16 != 0) {
      store_bf16(p.output, row, column, p.columns, y, whole);
    } else {
      store_floats(static_cast<float*>(p.output), row, column, p.columns, y, whole);
    }
    if (p.sum != nullptr) store_floats(p.sum, row, column, p.columns, h, whole);
  }

  TFXF_DEVICE void run() {
    if (kChunks > 0) {
#pragma unroll
      for (int n = 0; n < kHeld; n++) load(held[n], 8 * (n * kLanes + lane));
    }
    const float first = first_value(), length = p.columns > 0 ? static_cast<float>(p.columns) : 1.0f;
    float sum[1] = {0.0f};
    if (p.rms == 0) {
      each_chunk([&](const float(&h)[8], int32_t column) {
#pragma unroll
        for (int n = 0; n < 8; n++) sum[0] += column + n < p.columns ? h[n] - first : 0.0f;
      });
      sum_lanes<kLanes>(sum);
    }
    const float mean = sum[0] / length;
    float squares[1] = {0.0f};
    each_chunk([&](const float(&h)[8], int32_t column) {
#pragma unroll
      for (int n = 0; n < 8; n++) {
        const float centred = column + n < p.columns ? h[n] - first - mean : 0.0f;
        squares[0] += centred * centred;
      }
    });
    sum_lanes<kLanes>(squares);
    const float rstd = 1.0f / sqrtf(squares[0] / length + p.epsilon);
    if (!exists) return;
    if (lane == 0) {
      p.stats[2 * row] = first + mean;
      p.stats[2 * row + 1] = rstd;
    }
    each_chunk([&](const float(&h)[8], int32_t column) { write(h, column, first, mean, rstd); });
  }
};

template <int kLanes, int kChunks>
TFXF_DEVICE void norm_forward(const NormParams& params) {
  NormForward<kLanes, kChunks>(params).run();
}

}  // namespace cuda
}  // namespace tfxf
