// SPDX-License-Identifier: Apache-2.0
/**
 *   c = x - mean      xhat = c * rstd      g = dy * (gamma + offset)
 *   dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) (+ dsum)          (RMS norm: no mean(g))
 *   dgamma = column sum of dy * xhat      dbeta = column sum of dy
 *
 * A work item owns a block of rows (norm_blocks.h) and its partial sums of dgamma and dbeta; a second
 * step adds the partial sums of a range of columns in the order of the blocks. x and dy are read from
 * memory once: one pass takes all sums of a row, the other, which finds it in cache, writes dx and
 * adds to the partial sums.
 *
 * The saved mean is rounded to float32, which at an offset of 1e4 is off by 5e-4. So the first pass
 * also takes shift = mean(x - mean), and xhat = (c - shift) * rstd. All sums are float32.
 */
#include "cpu/kernels/norm.h"
#include "cpu/kernels/norm_rows.h"
#include "cpu/norm_blocks.h"

namespace tfxf {
namespace TFXF_ISA {
namespace {

/** A call and what follows from it. */
struct Backward {
  const NormBackwardArgs& args;
  int64_t x_stride;
  bool stream_dx;
};

/** Where the sums of a block go; null: not wanted. */
struct Partials {
  float *dgamma, *dbeta;
};

/** kRows rows: what they read and what they write. */
template <DType kX, int kRows>
struct Gradients {
  const void* x[kRows];
  const float *dy[kRows], *dsum[kRows];
  float* dx[kRows];

  Gradients(const Backward& call, int64_t row) {
    const NormBackwardArgs& args = call.args;
    for (int r = 0; r < kRows; r++) {
      const int64_t at = (row + r) * args.columns;
      x[r] = element(args.x.data, kX, (row + r) * call.x_stride);
      dy[r] = args.dy + at;
      dsum[r] = args.dsum != nullptr ? args.dsum + at : nullptr;
      dx[r] = args.dx + at;
    }
  }

  TFXF_ALWAYS_INLINE void fetch(int r, int64_t i) const {
    prefetch<2>(element(x[r], kX, i));
    prefetch<2>(dy[r] + i);
  }
};

/** Rows row … row + kRows - 1; those of `next` are fetched. */
template <DType kX, int kRows, int kUnroll>
void norm_rows(const Backward& call, int64_t row, int64_t next, const Partials& partials) {
  const NormBackwardArgs& args = call.args;
  const int64_t columns = args.columns;
  const Gradients<kX, kRows> rows(call, row), ahead(call, next);
  Vf mean[kRows], scale[kRows];
  V4 rstd = {};
  for (int r = 0; r < kRows; r++) {
    mean[r] = splat(args.rms ? 0.0f : args.stats[2 * (row + r)]);
    rstd[r] = args.stats[2 * (row + r) + 1];
    scale[r] = splat(rstd[r]);
  }
  V4 sums[3];  // of c, g and g * c
  row_sums<3, kRows, kUnroll>(
      columns, sums, [&](int64_t i, auto extent, Vf(&values)[3][kRows]) TFXF_ALWAYS_INLINE {
        const Vf weight = load_weight(args.gamma, args.weight_offset, i, extent);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; r++) {
          values[0][r] = load_as<kX>(rows.x[r], i, extent) - mean[r];
          values[1][r] = load_as<DType::kFloat32>(rows.dy[r], i, extent) * weight;
          values[2][r] = values[0][r] * values[1][r];
        }
      });
  const float length = static_cast<float>(columns);
  const V4 shifts = args.rms ? V4{} : sums[0] / length;
  const V4 means_g = args.rms ? V4{} : sums[1] / length;
  const V4 means_gx = (sums[2] - shifts * sums[1]) / length * rstd;
  Vf offset[kRows], mean_g[kRows], mean_gx[kRows];
  for (int r = 0; r < kRows; r++) {
    offset[r] = splat(-shifts[r] * rstd[r]);
    mean_g[r] = splat(means_g[r]);
    mean_gx[r] = splat(means_gx[r]);
  }
  each_vector<1>(0, columns, [&](int64_t i, int, auto extent) TFXF_ALWAYS_INLINE {
    const Vf weight = load_weight(args.gamma, args.weight_offset, i, extent);
    Vf dgamma = {}, dbeta = {};
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
      const Vf dy = load_as<DType::kFloat32>(rows.dy[r], i, extent);
      const Vf xhat = fma(load_as<kX>(rows.x[r], i, extent) - mean[r], scale[r], offset[r]);
      Vf dx = fma(xhat, -mean_gx[r], fma(dy, weight, -mean_g[r])) * scale[r];
      if (args.dsum != nullptr) dx += load_as<DType::kFloat32>(rows.dsum[r], i, extent);
      store_as<DType::kFloat32>(rows.dx[r], i, dx, call.stream_dx, extent);
      dgamma = fma(dy, xhat, dgamma);
      dbeta += dy;
      ahead.fetch(r, i);
    }
    if (partials.dgamma != nullptr) add_to(partials.dgamma, i, dgamma, extent);
    if (partials.dbeta != nullptr) add_to(partials.dbeta, i, dbeta, extent);
  });
}

/** Rows begin … end - 1. */
template <DType kX>
void norm_block(const Backward& call, int64_t begin, int64_t end, const Partials& partials) {
  const int64_t columns = call.args.columns;
  if (partials.dgamma != nullptr) memset(partials.dgamma, 0, static_cast<size_t>(columns) * 4);
  if (partials.dbeta != nullptr) memset(partials.dbeta, 0, static_cast<size_t>(columns) * 4);
  int64_t row = begin;
  if (columns <= kShortColumns) {
    for (; row + kGroupRows <= end; row += kGroupRows) {
      const int64_t next = row + 2 * kGroupRows <= end ? row + kGroupRows : row;
      norm_rows<kX, kGroupRows, 1>(call, row, next, partials);
    }
    for (; row < end; row++) norm_rows<kX, 1, 1>(call, row, row, partials);
  } else {
    for (; row < end; row++) {
      norm_rows<kX, 1, 4>(call, row, row + 1 < end ? row + 1 : row, partials);
    }
  }
  finish_streams();
}

/** Columns begin … end - 1 of the sum of `count` rows that lie `stride` apart. */
void sum_partials(const float* partials, int64_t count, int64_t stride, int64_t begin, int64_t end,
                  float* sums) {
  each_vector<1>(begin, end, [&](int64_t i, int, auto extent) TFXF_ALWAYS_INLINE {
    Vf sum = {};
    for (int64_t b = 0; b < count; b++) {
      sum += load_as<DType::kFloat32>(partials + b * stride, i, extent);
    }
    store_as<DType::kFloat32>(sums, i, sum, false, extent);
  });
}

}  // namespace

void norm_backward(const NormBackwardArgs& args, const Parallel& parallel) {
  if (args.columns == 0) return;
  const NormBlocks blocks = norm_blocks(args.rows);
  const Backward call = {args, row_elements(args.x.dtype, args.columns),
                         is_streamed(args.dx, DType::kFloat32, args.rows, args.columns)};
  const int64_t stride = norm_partial_stride(args.columns);
  float* dgammas = static_cast<float*>(args.workspace);
  float* dbetas = args.dgamma != nullptr ? dgammas + blocks.count * stride : dgammas;
  parallel_for(parallel, blocks.count, [&](int64_t block, int) {
    Partials partials = {args.dgamma, args.dbeta};
    if (blocks.count > 1) {
      if (args.dgamma != nullptr) partials.dgamma = dgammas + block * stride;
      if (args.dbeta != nullptr) partials.dbeta = dbetas + block * stride;
    }
    const int64_t begin = block * blocks.rows;
    const int64_t end = begin + blocks.rows < args.rows ? begin + blocks.rows : args.rows;
    args.x.dtype == DType::kFloat32 ? norm_block<DType::kFloat32>(call, begin, end, partials)
                                    : norm_block<DType::kBFloat16>(call, begin, end, partials);
  });
  if (blocks.count == 1 || (args.dgamma == nullptr && args.dbeta == nullptr)) return;
  constexpr int64_t kRange = 256;
  parallel_for(parallel, (args.columns + kRange - 1) / kRange, [&](int64_t item, int) {
    const int64_t begin = item * kRange;
    const int64_t end = begin + kRange < args.columns ? begin + kRange : args.columns;
    if (args.dgamma != nullptr) {
      sum_partials(dgammas, blocks.count, stride, begin, end, args.dgamma);
    }
    if (args.dbeta != nullptr) sum_partials(dbetas, blocks.count, stride, begin, end, args.dbeta);
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
