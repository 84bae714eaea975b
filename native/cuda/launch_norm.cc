// SPDX-License-Identifier: Apache-2.0
/** Norms and conversions: which kernel, and how rows are cut into blocks for the gradients of gamma and beta. */
#include <initializer_list>

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/workspace.h"

namespace tfxf {
namespace cuda {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct NormKernel {
  KernelId forward, backward;
  int64_t rows, columns, parts;
};

/** The first whose columns suffice. */
const NormKernel& norm_kernel(int64_t columns, bool in_chunks) {
#define TFXF_NORM_OF(lanes, chunks)                                                  \
  {kKernel_norm_forward_##lanes##x##chunks, kKernel_norm_backward_##lanes##x##chunks, \
   NormShape<lanes, chunks>::kRows, NormShape<lanes, chunks>::kColumns, NormShape<lanes, chunks>::kParts},
  static const NormKernel all[] = {TFXF_NORM_SHAPES(TFXF_NORM_OF)};
  constexpr int kOfAnyRows = sizeof all / sizeof all[0] - 2;
  int n = in_chunks ? 0 : kOfAnyRows;
  while (all[n].columns < columns) n++;
  return all[n];
}

bool is_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

int32_t is_bf16(DType dtype) { return dtype == DType::kBFloat16 ? 1 : 0; }

bool check_sizes(int64_t rows, int64_t columns, Error& error) {
  constexpr int64_t kMostColumns = int64_t{1} << 30;
  if (rows >= 0 && columns >= 0 && columns <= kMostColumns) return true;
  return error.fail("%lld rows of %lld columns: at most 2^30 columns are supported", static_cast<long long>(rows),
                    static_cast<long long>(columns));
}

/** Blocks whose rows are summed apart: about 512, of 4 rows or more for each group of lanes. */
struct RowBlocks {
  int64_t rows, count;
};
RowBlocks row_blocks(int64_t rows, int64_t rows_at_once) {
  const int64_t least = 4 * rows_at_once;
  int64_t size = ceil_div(ceil_div(rows, 512), rows_at_once) * rows_at_once;
  if (size < least) size = least;
  const int64_t count = ceil_div(rows, size);
  return {size, count > 0 ? count : 1};
}

struct BackwardPlan {
  NormKernel kernel;
  RowBlocks blocks;
  int64_t parts;  // rows of partial sums
  float *dgamma_parts, *dbeta_parts;
};

bool is_in_chunks(const NormBackwardArgs& args) {
  return args.columns % 8 == 0 && is_aligned(args.x.data) && is_aligned(args.gamma.data) && is_aligned(args.dy) &&
         is_aligned(args.dsum) && is_aligned(args.dx);
}

BackwardPlan plan_backward(const NormBackwardArgs& args, bool in_chunks, Workspace& workspace) {
  BackwardPlan plan = {};
  plan.kernel = norm_kernel(args.columns, in_chunks);
  plan.blocks = row_blocks(args.rows, plan.kernel.rows);
  plan.parts = plan.blocks.count * plan.kernel.parts;
  if (args.dgamma != nullptr) plan.dgamma_parts = workspace.take<float>(plan.parts * args.columns);
  if (args.dbeta != nullptr) plan.dbeta_parts = workspace.take<float>(plan.parts * args.columns);
  return plan;
}

bool sum_columns(Device& device, const float* parts, float* sums, int64_t rows, int64_t columns,
                 Error& error) {
  if (sums == nullptr) return true;
  const ColumnSumParams params = {parts, sums, static_cast<int32_t>(rows), static_cast<int32_t>(columns)};
  return launch(device, kKernel_norm_column_sums, ceil_div(columns, 32), &params, error);
}

bool convert(Device& device, KernelId kernel, const ConvertArgs& args, Error& error) {
  if (!check_sizes(args.rows, args.columns, error)) return false;
  const int64_t words = args.rows * ((args.columns + 1) / 2);
  if (words > 0 && (args.x == nullptr || args.y == nullptr)) return error.fail("x or y has no memory");
  const ConvertParams params = {args.x, args.y, args.rows, static_cast<int32_t>(args.columns)};
  return launch(device, kernel, ceil_div(words, ConvertShape::kThreads), &params, error);
}

}  // namespace

bool norm_forward(Device& device, const NormForwardArgs& args, Error& error) {
  if (!check_sizes(args.rows, args.columns, error)) return false;
  if (args.rows == 0) return true;
  if (args.stats == nullptr) return error.fail("stats has no memory");
  if (args.columns > 0 && (args.x.data == nullptr || args.output == nullptr)) {
    return error.fail("x or output has no memory");
  }
  if (args.residual.data != nullptr && args.columns > 0 && args.sum == nullptr) return error.fail("sum has no memory");
  NormParams params = {};
  params.rows = args.rows;
  params.columns = static_cast<int32_t>(args.columns);
  params.rms = args.rms ? 1 : 0;
  params.epsilon = args.epsilon;
  params.weight_offset = args.weight_offset;
  params.x = args.x.data;
  params.residual = args.residual.data;
  params.gamma = args.gamma.data;
  params.beta = args.beta.data;
  params.x_is_bf16 = is_bf16(args.x.dtype);
  params.residual_is_bf16 = is_bf16(args.residual.dtype);
  params.gamma_is_bf16 = is_bf16(args.gamma.dtype);
  params.beta_is_bf16 = is_bf16(args.beta.dtype);
  params.output_is_bf16 = is_bf16(args.output_dtype);
  params.output = args.output;
  params.stats = args.stats;
  params.sum = args.residual.data != nullptr ? args.sum : nullptr;
  params.in_chunks = args.columns % 8 == 0 && is_aligned(params.x) && is_aligned(params.residual) &&
                     is_aligned(params.gamma) && is_aligned(params.beta) && is_aligned(params.output) &&
                     is_aligned(params.sum);
  const NormKernel& kernel = norm_kernel(args.columns, params.in_chunks != 0);
  return launch(device, kernel.forward, ceil_div(args.rows, kernel.rows), &params, error);
}

int64_t norm_backward_workspace(const NormBackwardArgs& args) {
  // Which kernel it will be follows from addresses, too; this must be enough for either.
  int64_t bytes = 0;
  for (const bool in_chunks : {false, true}) {
    Workspace workspace(nullptr);
    plan_backward(args, in_chunks, workspace);
    if (workspace.bytes() > bytes) bytes = workspace.bytes();
  }
  return bytes;
}

bool norm_backward(Device& device, const NormBackwardArgs& args, Error& error) {
  if (!check_sizes(args.rows, args.columns, error)) return false;
  if (args.columns == 0) return true;
  if (args.rows > 0 && (args.x.data == nullptr || args.dy == nullptr || args.stats == nullptr || args.dx == nullptr)) {
    return error.fail("x, dy, stats or dx has no memory");
  }
  Workspace workspace(args.workspace);
  const bool in_chunks = is_in_chunks(args);
  const BackwardPlan plan = plan_backward(args, in_chunks, workspace);
  if (workspace.bytes() > 0 && args.workspace == nullptr) return error.fail("there is no workspace");
  NormBackwardParams params = {};
  params.rows = args.rows;
  params.rows_per_block = plan.blocks.rows;
  params.columns = static_cast<int32_t>(args.columns);
  params.rms = args.rms ? 1 : 0;
  params.weight_offset = args.weight_offset;
  params.x = args.x.data;
  params.gamma = args.gamma.data;
  params.x_is_bf16 = is_bf16(args.x.dtype);
  params.gamma_is_bf16 = is_bf16(args.gamma.dtype);
  params.in_chunks = in_chunks ? 1 : 0;
  params.dy = args.dy;
  params.stats = args.stats;
  params.dsum = args.dsum;
  params.dx = args.dx;
  params.dgamma_parts = plan.dgamma_parts;
  params.dbeta_parts = plan.dbeta_parts;
  return launch(device, plan.kernel.backward, plan.blocks.count, &params, error) &&
         sum_columns(device, plan.dgamma_parts, args.dgamma, plan.parts, args.columns, error) &&
         sum_columns(device, plan.dbeta_parts, args.dbeta, plan.parts, args.columns, error);
}

bool pack_bfloat16(Device& device, const ConvertArgs& args, Error& error) {
  return convert(device, kKernel_convert_to_bf16, args, error);
}

bool unpack_bfloat16(Device& device, const ConvertArgs& args, Error& error) {
  return convert(device, kKernel_convert_to_float, args, error);
}

}  // namespace cuda
}  // namespace tfxf
