// SPDX-License-Identifier: Apache-2.0
/**
 * h = x (+ residual);  output = (h - mean) * rstd * (gamma + offset) + beta;  rstd = 1 / sqrt(var + epsilon)
 *
 * RMS norm has mean 0 and no beta. A work item owns a chunk of rows of about kChunkBytes. A row is
 * read from memory once: three passes over it (mean, centred squares, output) find it in the first
 * or second cache, and the last one prefetches the next rows. With a residual, h is computed anew in
 * each pass, which costs less than writing it and reading it back, and lets it be streamed.
 *
 * The mean is taken of h - h[0], which is exact for values near each other, so that rows with a large
 * offset lose nothing; the variance is the mean of centred squares, never E[h²] - E[h]². All sums
 * are float32 (norm_rows.h); a bfloat16 output is rounded once. Nothing is held but registers.
 */
#include "cpu/kernels/norm.h"
#include "cpu/kernels/norm_rows.h"

namespace tfxf {
namespace TFXF_ISA {
namespace {

constexpr int64_t kChunkBytes = 128 << 10;

/** A call and what follows from it. */
struct Forward {
  const NormForwardArgs& args;
  int64_t x_stride, residual_stride, output_stride;  // from row to row, in elements
  bool stream_output, stream_sum;
};

Forward forward_of(const NormForwardArgs& args) {
  const int64_t columns = args.columns;
  const bool stream_sum =
      args.residual.data != nullptr && is_streamed(args.sum, DType::kFloat32, args.rows, columns);
  return {args,
          row_elements(args.x.dtype, columns),
          row_elements(args.residual.dtype, columns),
          row_elements(args.output_dtype, columns),
          is_streamed(args.output, args.output_dtype, args.rows, columns),
          stream_sum};
}

/** h of kRows rows from `row` on. */
template <DType kX, bool kResidual, int kRows>
struct Source {
  const void* x[kRows];
  RowsView residual[kRows];

  Source(const Forward& call, int64_t row) {
    for (int r = 0; r < kRows; r++) {
      x[r] = element(call.args.x.data, kX, (row + r) * call.x_stride);
      const RowsView& other = call.args.residual;
      residual[r] = other;
      if (kResidual) {
        residual[r].data = element(other.data, other.dtype, (row + r) * call.residual_stride);
      }
    }
  }

  template <typename Extent>
  TFXF_ALWAYS_INLINE Vf at(int r, int64_t i, Extent extent) const {
    const Vf value = load_as<kX>(x[r], i, extent);
    return kResidual ? value + load_any(residual[r], i, extent) : value;
  }

  TFXF_ALWAYS_INLINE float first(int r) const {
    const float value = load_one({x[r], kX}, 0);
    return kResidual ? value + load_one(residual[r], 0) : value;
  }

  TFXF_ALWAYS_INLINE void fetch(int r, int64_t i) const {
    prefetch(element(x[r], kX, i));
    if (kResidual) prefetch(element(residual[r].data, residual[r].dtype, i));
  }
};

/** Rows row … row + kRows - 1; those of `next` are fetched. */
template <DType kX, bool kResidual, DType kY, int kRows, int kUnroll>
void norm_rows(const Forward& call, int64_t row, int64_t next) {
  const NormForwardArgs& args = call.args;
  const int64_t columns = args.columns;
  const Source<kX, kResidual, kRows> source(call, row), ahead(call, next);
  Vf origin[kRows] = {}, shift[kRows] = {};  // the mean is their sum
  V4 total[1];
  if (!args.rms) {
    for (int r = 0; r < kRows; r++) origin[r] = splat(source.first(r));
    row_sums<1, kRows, kUnroll>(
        columns, total, [&](int64_t i, auto extent, Vf(&values)[1][kRows]) TFXF_ALWAYS_INLINE {
#pragma GCC unroll 4
          for (int r = 0; r < kRows; r++) values[0][r] = source.at(r, i, extent) - origin[r];
        });
    const V4 mean = total[0] / static_cast<float>(columns);
    for (int r = 0; r < kRows; r++) shift[r] = splat(mean[r]);
  }
  row_sums<1, kRows, kUnroll>(
      columns, total, [&](int64_t i, auto extent, Vf(&values)[1][kRows]) TFXF_ALWAYS_INLINE {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; r++) {
          const Vf c = (source.at(r, i, extent) - origin[r]) - shift[r];
          values[0][r] = c * c;
        }
      });
  const V4 rstd = 1.0f / sqrt4(total[0] / static_cast<float>(columns) + args.epsilon);
  Vf scale[kRows];
  void* output[kRows];
  float* sum[kRows];
  for (int r = 0; r < kRows; r++) {
    scale[r] = splat(rstd[r]);
    args.stats[2 * (row + r)] = origin[r][0] + shift[r][0];
    args.stats[2 * (row + r) + 1] = rstd[r];
    output[r] = static_cast<char*>(args.output) + (row + r) * call.output_stride * element_bytes(kY);
    sum[r] = kResidual ? args.sum + (row + r) * columns : nullptr;
  }
  each_vector<kUnroll>(0, columns, [&](int64_t i, int, auto extent) TFXF_ALWAYS_INLINE {
    const Vf weight = load_weight(args.gamma, args.weight_offset, i, extent);
    const Vf bias = args.beta.data != nullptr ? load_any(args.beta, i, extent) : Vf{};
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
      const Vf h = source.at(r, i, extent);
      const Vf c = (h - origin[r]) - shift[r];
      store_as<kY>(output[r], i, fma(c * scale[r], weight, bias), call.stream_output, extent);
      if (kResidual) store_as<DType::kFloat32>(sum[r], i, h, call.stream_sum, extent);
      ahead.fetch(r, i);
    }
  });
  if (kY == DType::kBFloat16 && columns % 2 != 0) {
    for (int r = 0; r < kRows; r++) static_cast<uint16_t*>(output[r])[columns] = 0;
  }
}

/** Rows begin … end - 1. */
template <DType kX, bool kResidual, DType kY>
void norm_chunk(const Forward& call, int64_t begin, int64_t end) {
  int64_t row = begin;
  if (call.args.columns <= kShortColumns) {
    for (; row + kGroupRows <= end; row += kGroupRows) {
      const int64_t next = row + 2 * kGroupRows <= end ? row + kGroupRows : row;
      norm_rows<kX, kResidual, kY, kGroupRows, 1>(call, row, next);
    }
    for (; row < end; row++) norm_rows<kX, kResidual, kY, 1, 1>(call, row, row);
  } else {
    for (; row < end; row++) {
      norm_rows<kX, kResidual, kY, 1, 4>(call, row, row + 1 < end ? row + 1 : row);
    }
  }
  finish_streams();
}

typedef void (*Chunk)(const Forward&, int64_t begin, int64_t end);

template <DType kX, bool kResidual>
Chunk chunk_of_output(DType output) {
  return output == DType::kFloat32 ? norm_chunk<kX, kResidual, DType::kFloat32>
                                   : norm_chunk<kX, kResidual, DType::kBFloat16>;
}

template <DType kX>
Chunk chunk_of_residual(const NormForwardArgs& args) {
  return args.residual.data != nullptr ? chunk_of_output<kX, true>(args.output_dtype)
                                       : chunk_of_output<kX, false>(args.output_dtype);
}

Chunk chunk_of(const NormForwardArgs& args) {
  return args.x.dtype == DType::kFloat32 ? chunk_of_residual<DType::kFloat32>(args)
                                         : chunk_of_residual<DType::kBFloat16>(args);
}

/** Rows without columns have no mean; their variance is taken for 0. */
void norm_nothing(const NormForwardArgs& args) {
  for (int64_t row = 0; row < args.rows; row++) {
    args.stats[2 * row] = 0.0f;
    args.stats[2 * row + 1] = 1.0f / __builtin_sqrtf(args.epsilon);
  }
}

}  // namespace

void norm_forward(const NormForwardArgs& args, const Parallel& parallel) {
  if (args.columns == 0) return norm_nothing(args);
  const Forward call = forward_of(args);
  const Chunk chunk = chunk_of(args);
  const int64_t fitting = kChunkBytes / (args.columns * element_bytes(args.x.dtype));
  const int64_t chunk_rows = (fitting > 0 ? fitting + kGroupRows - 1 : 1) / kGroupRows * kGroupRows;
  const int64_t rows = chunk_rows > 0 ? chunk_rows : 1;
  parallel_for(parallel, (args.rows + rows - 1) / rows, [&](int64_t item, int) {
    const int64_t begin = item * rows;
    chunk(call, begin, begin + rows < args.rows ? begin + rows : args.rows);
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
