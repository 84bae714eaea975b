// SPDX-License-Identifier: Apache-2.0
/** Arguments of the attention kernels; formulas and shapes as in src/spec/attention.ts. */
#pragma once

#include <cstdint>

#include "common/dropout.h"
#include "common/dtype.h"
#include "common/mask.h"

namespace tfxf {

/** Query head h reads key and value head h / (heads / kv_heads). */
struct AttentionShape {
  int64_t batch, queries, keys, heads, kv_heads, key_dim, value_dim;
};

/** [B, M, heads, D]: element strides; the last axis is contiguous. A packed tensor may be a view. */
struct HeadsView {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t batch_stride = 0, row_stride = 0, head_stride = 0;
};

/** View of a contiguous [B, M, heads, D] in this storage. */
static inline HeadsView contiguous_heads(const void* data, DType dtype, int64_t rows, int64_t heads,
                                         int64_t dim) {
  const int64_t elements = row_elements(dtype, dim);
  return {data, dtype, rows * heads * elements, heads * elements, elements};
}

enum class BiasKind : int32_t { kNone = 0, kFloat = 1, kBool = 2 };

/** Element (b, h, i, j) lies at the sum of index times stride; stride 0 broadcasts. Only dense masks have a bias. */
struct BiasView {
  BiasKind kind = BiasKind::kNone;
  const void* data = nullptr;  // float, added; or uint8_t, 0 = hidden
  int64_t b = 0, h = 0, i = 0, j = 0;
};

struct AttentionArgs {
  AttentionShape shape;
  HeadsView query, key, value;
  Mask mask;
  BiasView bias;
  const float* sink = nullptr;  // [heads] or null
  float scale = 1.0f;
  float softcap = 0.0f;  // 0: off
  Dropout dropout;
};

struct AttentionForwardArgs {
  AttentionArgs common;
  /** [B, Mq, H, V], contiguous in this storage; padding of odd V is written as zero. */
  void* output;
  DType output_dtype;
  float* log_sum_exp;  // [B, H, Mq]
  void* workspace;     // attention_forward_workspace() bytes, 64-byte aligned
};

struct AttentionBackwardArgs {
  AttentionArgs common;
  const float* doutput;            // [B, Mq, H, V]
  const void* output;              // [B, Mq, H, V]
  DType output_dtype;
  const float* log_sum_exp;        // [B, H, Mq]
  const float* dlog_sum_exp;       // [B, H, Mq] or null
  /** float32, contiguous, of the shapes of query, key and value. All three or none. */
  float *dquery, *dkey, *dvalue;
  float* dbias;                    // of the shape that the bias strides span, or null
  int64_t dbias_shape[4];          // of the bias: each 1 or that of [B, H, Mq, Mk]
  float* dsink;                    // [heads] or null
  void* workspace;                 // attention_backward_workspace() bytes, 64-byte aligned
};

}  // namespace tfxf
