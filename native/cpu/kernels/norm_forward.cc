// SPDX-License-Identifier: Apache-2.0
/**
 * h = x (+ residual);  output = (h - mean) * rstd * (gamma + offset) + beta;  rstd = 1 / sqrt(var + epsilon)
 *
 * RMS norm has mean 0 and no beta. A work item owns a chunk of rows, one after the other (norm_forward_row.h,
 * norm_forward_held.h): memory is read once, for the moments, and the row is still in a cache when it is written, while
 * rows further down are fetched. With a residual, h is computed anew in both passes, which costs less than writing it and
 * reading it back, and lets it be streamed. The variance is the mean of centred squares, never E[h²] - E[h]². All sums
 * are float32; a bfloat16 output is rounded once. Nothing is held but registers.
 */
#include "cpu/kernels/norm_forward_held.h"

namespace tfxf {
namespace TFXF_ISA {
namespace {

/** Bytes of a chunk: so few that all workers have several of them, so many that fetching one costs nothing. */
constexpr int64_t kMostChunkBytes = 512 << 10;
constexpr int64_t kLeastChunkBytes = 64 << 10;
constexpr int64_t kChunksPerWorker = 4;

int64_t rows_of_chunk(const Forward& call, int workers) {
  const int64_t most = kMostChunkBytes / call.x_stride, least = kLeastChunkBytes / call.x_stride + 1;
  const int64_t fair = call.args.rows / (kChunksPerWorker * workers);
  const int64_t rows = fair < most ? fair : most;
  return rows > least ? rows : least;
}

Forward forward_of(const NormForwardArgs& args) {
  const int64_t columns = args.columns;
  const auto stride = [columns](DType dtype) { return row_elements(dtype, columns) * element_bytes(dtype); };
  const bool stream_sum =
      args.residual.data != nullptr && is_streamed(args.sum, DType::kFloat32, args.rows, columns);
  const auto is_plain = [](const RowsView& w) { return w.data != nullptr && w.dtype == DType::kFloat32; };
  return {args,
          stride(args.x.dtype),
          stride(args.residual.dtype),
          stride(args.output_dtype),
          is_streamed(args.output, args.output_dtype, args.rows, columns),
          stream_sum,
          is_plain(args.gamma) && is_plain(args.beta) && args.weight_offset == 0.0f};
}

template <DType kX, bool kResidual, DType kY>
Chunk chunk_of_way(const Forward& call) {
  const Chunk held = kResidual ? nullptr : held_chunk<kX, kY>(call.args.columns);
  if (held != nullptr) return held;
  // With a residual, memory takes so long that a look at the weights' type costs nothing.
  if (!kResidual && call.plain_weights) {
    return call.stream_output ? norm_rows<kX, false, kY, true, true>
                              : norm_rows<kX, false, kY, false, true>;
  }
  return call.stream_output ? norm_rows<kX, kResidual, kY, true, false>
                            : norm_rows<kX, kResidual, kY, false, false>;
}

template <DType kX, bool kResidual>
Chunk chunk_of_output(const Forward& call) {
  return call.args.output_dtype == DType::kFloat32 ? chunk_of_way<kX, kResidual, DType::kFloat32>(call)
                                                   : chunk_of_way<kX, kResidual, DType::kBFloat16>(call);
}

template <DType kX>
Chunk chunk_of_residual(const Forward& call) {
  return call.args.residual.data != nullptr ? chunk_of_output<kX, true>(call)
                                            : chunk_of_output<kX, false>(call);
}

Chunk chunk_of(const Forward& call) {
  return call.args.x.dtype == DType::kFloat32 ? chunk_of_residual<DType::kFloat32>(call)
                                              : chunk_of_residual<DType::kBFloat16>(call);
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
  const Chunk chunk = chunk_of(call);
  const int64_t rows = rows_of_chunk(call, parallel.workers);
  parallel_for(parallel, (args.rows + rows - 1) / rows, [&](int64_t item, int) {
    const int64_t begin = item * rows;
    chunk(call, begin, begin + rows < args.rows ? begin + rows : args.rows);
    finish_streams();
  });
}

}  // namespace TFXF_ISA
}  // namespace tfxf
