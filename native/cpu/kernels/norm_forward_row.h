// SPDX-License-Identifier: Apache-2.0
/**
 * One row of the forward norm: its moments in one pass, then the normed row.
 *
 * Moments come by Welford's method in the pairwise form (T. Chan, G. Golub, R. LeVeque, "Updating formulae and a
 * pairwise algorithm for computing sample variances", 1979), lane by lane: kHeldVectors vectors at a time are held in
 * registers, their mean and centred squares taken there, and joined to those of the row so far; at the end the
 * lanes are joined. All is done to h - h[0], which is exact for values near each other, so that rows with a large offset
 * lose nothing. Memory is read once here; the second pass finds the row in the first or second cache.
 */
#pragma once

#include "cpu/kernels/norm.h"
#include "cpu/kernels/norm_rows.h"

namespace tfxf {
namespace TFXF_ISA {

/** Vectors that are held in registers at a time. */
constexpr int kHeldVectors = kWidth == 16 ? 8 : 4;
/** How far ahead of the next row rows are fetched, in bytes, if not the one after it. */
constexpr int64_t kFetchBytes = 2 << 10;
/** Rows of so many bytes are fetched into the first cache, which has room for four of them; longer ones into the second. */
constexpr int64_t kNearBytes = 8 << 10;

/** A call and what follows from it. */
struct Forward {
  const NormForwardArgs& args;
  int64_t x_stride, residual_stride, output_stride;  // from row to row, in bytes
  bool stream_output, stream_sum;
  /** Whether gamma and beta are there, float32, and without offset. */
  bool plain_weights;
};

typedef void (*Chunk)(const Forward&, int64_t begin, int64_t end);

/** h of one row. */
template <DType kX, bool kResidual>
struct Source {
  const char* x;
  RowsView residual;

  Source(const Forward& call, int64_t row)
      : x(static_cast<const char*>(call.args.x.data) + row * call.x_stride),
        residual(call.args.residual) {
    if (kResidual) residual.data = static_cast<const char*>(residual.data) + row * call.residual_stride;
  }

  template <typename Extent>
  TFXF_ALWAYS_INLINE Vf at(int64_t i, Extent extent) const {
    const Vf value = load_as<kX>(x, i, extent);
    return kResidual ? value + load_any(residual, i, extent) : value;
  }

  TFXF_ALWAYS_INLINE float first() const {
    const float value = load_one({x, kX}, 0);
    return kResidual ? value + load_one(residual, 0) : value;
  }
};

/**
 * What turns a row into the normed one: (h - origin) * scale - shift * scale. The mean is origin + shift. The product is at
 * most the root of the number of columns, so rounding it first costs little.
 */
struct Moments {
  float origin, shift, scale;
};

/** Mean and centred squares of `count` values in each lane. At the end of a row the first lanes may have one more. */
struct LaneMoments {
  Vf mean, squares;
  float count;

  /** Joins those of `n` further values in the lanes of `where`. */
  TFXF_ALWAYS_INLINE void join(Vf other_mean, Vf other_squares, float n, Vi where) {
    const float share = n / (count + n);
    const Vf delta = other_mean - mean;
    const Vf joined_mean = fma(delta, splat(share), mean);
    // In this order, because delta² may be infinite where there is nothing to join it to, and 0 times that is NaN.
    const Vf joined = squares + fma(delta, rounded(delta * (count * share)), other_squares);
    mean = where ? joined_mean : mean;
    squares = where ? joined : squares;
  }
};

/** Joins the lanes of a row of `columns`; the last `extra` values went to the first lanes. */
TFXF_INLINE void join_lanes(const LaneMoments& lanes, int64_t columns, int64_t extra, float& mean,
                            float& variance) {
  const Vf one_more = lane_numbers() < static_cast<int32_t>(extra) ? splat(1.0f) : Vf{};
  const Vf counts = one_more + lanes.count;
  const float n = static_cast<float>(columns);
  mean = sum_lanes(lanes.mean * counts) / n;
  const Vf delta = lanes.mean - mean;
  variance = sum_lanes(fma(delta, rounded(delta * counts), lanes.squares)) / n;
}

/** Sum of held vectors, two by two. */
template <int kCount>
TFXF_INLINE Vf sum_of(const Vf (&values)[kCount]) {
  Vf sums[2] = {};
#pragma GCC unroll 8
  for (int u = 0; u < kCount; u++) sums[u % 2] = u < 2 ? values[u] : sums[u % 2] + values[u];
  return sums[0] + sums[1];
}

/** Sum of (value - mean)² of held vectors. */
template <int kCount>
TFXF_INLINE Vf squares_of(const Vf (&values)[kCount], Vf mean) {
  Vf sums[2] = {};
#pragma GCC unroll 8
  for (int u = 0; u < kCount; u++) {
    const Vf c = values[u] - mean;
    sums[u % 2] = fma(c, c, sums[u % 2]);
  }
  return sums[0] + sums[1];
}

/** Mean and variance of h - origin. */
template <DType kX, bool kResidual>
TFXF_INLINE void row_moments(const Source<kX, kResidual>& source, int64_t columns, float origin,
                             float& mean, float& variance) {
  LaneMoments lanes = {};
  const Vf from = splat(origin);
  const Vi all = ~Vi{};
  int64_t i = 0;
  for (; i + kHeldVectors * kWidth <= columns; i += kHeldVectors * kWidth) {
    Vf held[kHeldVectors];
#pragma GCC unroll 8
    for (int u = 0; u < kHeldVectors; u++) held[u] = source.at(i + u * kWidth, Whole{}) - from;
    const Vf held_mean = sum_of(held) * (1.0f / kHeldVectors);
    lanes.join(held_mean, squares_of(held, held_mean), kHeldVectors, all);
    lanes.count += kHeldVectors;
  }
  for (; i + kWidth <= columns; i += kWidth) {
    lanes.join(source.at(i, Whole{}) - from, Vf{}, 1.0f, all);
    lanes.count += 1.0f;
  }
  const int64_t extra = columns - i;
  if (extra > 0) {
    const Vi there = reinterpret_cast<Vi>(lane_numbers() < static_cast<int32_t>(extra));
    lanes.join(source.at(i, Part{extra}) - from, Vf{}, 1.0f, there);
  }
  join_lanes(lanes, columns, extra, mean, variance);
}

/** Mean of h². */
template <DType kX, bool kResidual>
TFXF_INLINE float mean_square(const Source<kX, kResidual>& source, int64_t columns) {
  V4 total[1];
  row_sums<1, 1, 4>(columns, total, [&](int64_t i, auto extent, Vf(&values)[1][1]) TFXF_ALWAYS_INLINE {
    const Vf h = source.at(i, extent);
    values[0][0] = h * h;
  });
  return total[0][0] / static_cast<float>(columns);
}

/** Writes row `row`; the one `ahead` rows further down is fetched. */
template <DType kX, bool kResidual, DType kY, bool kStream, bool kPlain>
TFXF_INLINE void write_row(const Forward& call, const Source<kX, kResidual>& source, int64_t row,
                           int64_t ahead, const Moments& moments) {
  const NormForwardArgs& args = call.args;
  char* const output = static_cast<char*>(args.output) + row * call.output_stride;
  float* const sum = kResidual ? args.sum + row * args.columns : nullptr;
  const bool stream_sum = call.stream_sum;
  const char* const next = source.x + ahead * call.x_stride;
  const char* const next_residual =
      static_cast<const char*>(source.residual.data) + ahead * call.residual_stride;
  const bool near = call.x_stride <= kNearBytes;
  // Copies, which no store can be thought to change.
  const RowsView gamma = args.gamma, beta = args.beta;
  const float offset = args.weight_offset;
  const Vf origin = splat(moments.origin), scale = splat(moments.scale);
  const Vf shift = splat(-moments.shift * moments.scale);
  each_vector<4>(0, args.columns, [&](int64_t i, int, auto extent) TFXF_ALWAYS_INLINE {
    const Vf h = source.at(i, extent);
    const Vf normed = fma(h - origin, scale, shift);
    Vf weight, bias;
    if (kPlain) {
      weight = load_as<DType::kFloat32>(gamma.data, i, extent);
      bias = load_as<DType::kFloat32>(beta.data, i, extent);
    } else {
      weight = load_weight(gamma, offset, i, extent);
      bias = load_bias(beta, i, extent);
    }
    store_as<kY>(output, i, fma(normed, weight, bias), kStream, extent);
    if (kResidual) store_as<DType::kFloat32>(sum, i, h, stream_sum, extent);
    if (near) {
      prefetch<3>(element(next, kX, i));
      if (kResidual) prefetch<3>(element(next_residual, source.residual.dtype, i));
    } else {
      prefetch<2>(element(next, kX, i));
      if (kResidual) prefetch<2>(element(next_residual, source.residual.dtype, i));
    }
  });
  if (kY == DType::kBFloat16 && args.columns % 2 != 0) {
    reinterpret_cast<uint16_t*>(output)[args.columns] = 0;
  }
}

/** The moments of row `row`, which go to the statistics, too. */
template <DType kX, bool kResidual>
TFXF_INLINE Moments take_moments(const Forward& call, int64_t row) {
  const NormForwardArgs& args = call.args;
  const Source<kX, kResidual> source(call, row);
  Moments moments = {};
  float variance;
  if (args.rms) {
    variance = mean_square(source, args.columns);
  } else {
    moments.origin = source.first();
    row_moments(source, args.columns, moments.origin, moments.shift, variance);
  }
  moments.scale = 1.0f / __builtin_sqrtf(variance + args.epsilon);
  args.stats[2 * row] = moments.origin + moments.shift;
  args.stats[2 * row + 1] = moments.scale;
  return moments;
}

/**
 * Rows `begin` … `end` - 1. The moments of the next row are taken before a row is written: what ends them (sums over
 * lanes, a root, a division) is a chain of short steps, and the processor runs it beside the writing.
 */
template <DType kX, bool kResidual, DType kY, bool kStream, bool kPlain>
void norm_rows(const Forward& call, int64_t begin, int64_t end) {
  // Rows of a page or less each begin a stretch that the processor does not foresee.
  const int64_t distance = call.x_stride < kFetchBytes ? kFetchBytes / call.x_stride : 1;
  Moments moments = take_moments<kX, kResidual>(call, begin);
  for (int64_t row = begin; row < end; row++) {
    const Moments next = row + 1 < end ? take_moments<kX, kResidual>(call, row + 1) : Moments{};
    const Source<kX, kResidual> source(call, row);
    const int64_t ahead = row + 1 + distance < end ? 1 + distance : 0;
    write_row<kX, kResidual, kY, kStream, kPlain>(call, source, row, ahead, moments);
    moments = next;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
