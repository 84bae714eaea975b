// SPDX-License-Identifier: Apache-2.0
/**
 * Forward norm of short rows of whole vectors, such as the heads of queries and keys. The number of vectors is known to the
 * compiler, so that a row, gamma and beta are held in registers; four rows are taken together, so that the sums over
 * lanes, the root and the division, which cost as much as all else, are done once for four. Mean, centred squares and
 * output are three reads of four rows in the first cache.
 */
#pragma once

#include "cpu/kernels/norm_forward_row.h"

namespace tfxf {
namespace TFXF_ISA {

template <int kVectors>
struct HeldWeights {
  Vf weight[kVectors], bias[kVectors];

  explicit HeldWeights(const NormForwardArgs& args) {
    for (int u = 0; u < kVectors; u++) {
      weight[u] = load_weight(args.gamma, args.weight_offset, u * kWidth, Whole{});
      bias[u] = load_bias(args.beta, u * kWidth, Whole{});
    }
  }
};

/** One row of kVectors vectors, minus `a`, minus `b`. */
template <DType kX, int kVectors>
struct HeldRow {
  Vf values[kVectors];

  TFXF_ALWAYS_INLINE HeldRow(const char* x, float a, float b) {
#pragma GCC unroll 8
    for (int u = 0; u < kVectors; u++) values[u] = (load_as<kX>(x, u * kWidth, Whole{}) - a) - b;
  }
};

/** What kGroupRows rows come to, a row to a lane. */
struct GroupMoments {
  V4 origin, shift, scale;
};

/** Of `count` <= kGroupRows rows; sums over lanes, root and division are done for all of them together. */
template <DType kX, int kVectors>
TFXF_INLINE GroupMoments group_moments(const NormForwardArgs& args, const char* x, int64_t stride,
                                       int64_t count) {
  const float columns = static_cast<float>(kVectors * kWidth);
  GroupMoments moments = {};
  Vf sums[kGroupRows] = {};
  if (!args.rms) {
    for (int64_t r = 0; r < count; r++) {
      moments.origin[r] = load_one({x + r * stride, kX}, 0);
      sums[r] = sum_of(HeldRow<kX, kVectors>(x + r * stride, moments.origin[r], 0.0f).values);
    }
    moments.shift = sum_lanes_of<kGroupRows>(sums) / columns;
  }
  for (int64_t r = 0; r < count; r++) {
    const HeldRow<kX, kVectors> row(x + r * stride, moments.origin[r], moments.shift[r]);
    sums[r] = squares_of(row.values, Vf{});
  }
  moments.scale = 1.0f / sqrt4(sum_lanes_of<kGroupRows>(sums) / columns + args.epsilon);
  return moments;
}

template <DType kX, DType kY, int kVectors, bool kStream>
TFXF_INLINE void write_held(const char* x, char* output, float origin, float shift, float scale,
                            const HeldWeights<kVectors>& weights) {
  const HeldRow<kX, kVectors> row(x, origin, shift);
#pragma GCC unroll 8
  for (int u = 0; u < kVectors; u++) {
    const Vf y = fma(row.values[u] * scale, weights.weight[u], weights.bias[u]);
    store_as<kY>(output, u * kWidth, y, kStream, Whole{});
  }
}

/** Rows `begin` … `end` - 1 of kVectors vectors, without residual. */
template <DType kX, DType kY, int kVectors>
void norm_held_rows(const Forward& call, int64_t begin, int64_t end) {
  const NormForwardArgs& args = call.args;
  const HeldWeights<kVectors> weights(args);
  for (int64_t first = begin; first < end; first += kGroupRows) {
    const int64_t count = end - first < kGroupRows ? end - first : kGroupRows;
    const char* x = static_cast<const char*>(args.x.data) + first * call.x_stride;
    char* output = static_cast<char*>(args.output) + first * call.output_stride;
    const GroupMoments m = group_moments<kX, kVectors>(args, x, call.x_stride, count);
    for (int64_t r = 0; r < count; r++) {
      if (call.stream_output) {
        write_held<kX, kY, kVectors, true>(x, output, m.origin[r], m.shift[r], m.scale[r], weights);
      } else {
        write_held<kX, kY, kVectors, false>(x, output, m.origin[r], m.shift[r], m.scale[r], weights);
      }
      args.stats[2 * (first + r)] = m.origin[r] + m.shift[r];
      args.stats[2 * (first + r) + 1] = m.scale[r];
      x += call.x_stride;
      output += call.output_stride;
    }
  }
}

/** The function for rows of `columns`, or null. */
template <DType kX, DType kY>
Chunk held_chunk(int64_t columns) {
  if (columns % kWidth != 0) return nullptr;
  switch (columns / kWidth) {
    case 1: return norm_held_rows<kX, kY, 1>;
    case 2: return norm_held_rows<kX, kY, 2>;
    case 3: return norm_held_rows<kX, kY, 3>;
    case 4: return norm_held_rows<kX, kY, 4>;
#if defined(__AVX512F__)
    case 5: return norm_held_rows<kX, kY, 5>;
    case 6: return norm_held_rows<kX, kY, 6>;
    case 7: return norm_held_rows<kX, kY, 7>;
    case 8: return norm_held_rows<kX, kY, 8>;
#endif
    default: return nullptr;
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf
