// SPDX-License-Identifier: Apache-2.0
/** Arguments of the norm and bfloat16 kernels. All pointers are the caller's; rows are contiguous. */
#pragma once

#include <cstdint>

#include "common/dtype.h"

namespace tfxf {

/** Rows of `columns` elements, row_elements() apart; null data: absent. */
struct RowsView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
};

/**
 * h = x (+ residual);  output = (h - mean(h)) / sqrt(var(h) + epsilon) * (gamma + weight_offset) + beta
 * RMS norm (rms): without mean and beta, and gamma absent means weight 1 whatever the offset is.
 */
struct NormForwardArgs {
  int64_t rows, columns;
  bool rms;
  float epsilon, weight_offset;
  RowsView x, residual, gamma, beta;
  void* output;
  DType output_dtype;
  float* stats;  // [rows, 2]: mean (0 for rms), rstd
  float* sum;    // [rows, columns]: h, if there is a residual
};

/** Gradients of the above; x is h where there was a residual. */
struct NormBackwardArgs {
  int64_t rows, columns;
  bool rms;
  float weight_offset;
  const float* dy;
  RowsView x, gamma;
  const float* stats;
  const float* dsum;   // or null: added to dx
  float* dx;
  float* dgamma;       // or null
  float* dbeta;        // or null
  void* workspace;     // norm_backward_workspace() bytes, 64-byte aligned
};

/** Bytes of workspace that norm_backward needs; depends on shapes only. */
int64_t norm_backward_workspace(const NormBackwardArgs& args);

/** Conversion of rows, with the padding of odd rows written as zero. */
struct ConvertArgs {
  int64_t rows, columns;
  const void* x;
  void* y;
};

}  // namespace tfxf
