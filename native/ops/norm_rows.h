// SPDX-License-Identifier: Apache-2.0
/** What the norm and its gradient check in the same way. */
#pragma once

#include "cpu/norm.h"
#include "ops/op_call.h"

namespace tfxf {

/**
 * Rows of a tensor whose last axis holds so many columns in this storage. Fails, and returns 0, if it
 * is a scalar or its last axis is another.
 */
static inline int64_t rows_of(OpCall& call, const char* name, const Tensor& tensor, DType dtype,
                              int64_t columns) {
  if (tensor.shape.rank < 1) {
    call.fail("%s is a scalar, expected rank 1 or more", name);
    return 0;
  }
  call.check_shape(name, tensor, tensor.shape.with_last(stored_columns(dtype, columns)));
  const Shape leading = tensor.shape.with_last(1);
  if (!is_sound(leading)) call.fail("%s has too many rows", name);
  return call.ok() ? leading.elements() : 0;
}

/** As kernels take it; absent if the tensor is not there. */
static inline RowsView rows_view(const Tensor& tensor, DType dtype) {
  return {tensor.is_there ? tensor.data : nullptr, dtype};
}

}  // namespace tfxf
