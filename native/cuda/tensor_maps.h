// SPDX-License-Identifier: Apache-2.0
/** Tensor maps, with which the copy engine of sm_90a brings boxes of a [B, M, heads, dim] view of bfloat16. */
#pragma once

#include "cpu/attention.h"
#include "cuda/driver.h"
#include "cuda/params.h"

namespace tfxf {
namespace cuda {

/** Sizes of what a view shows. */
struct ViewSizes {
  int64_t batch, rows, heads, dim;
};

/** Whether a map can tell of the view: nothing is empty, all steps are multiples of 16 bytes, and none is 0 or backwards. */
bool fits_map(const HeadsView& view, const ViewSizes& sizes);

/** The map of boxes of `box_rows` rows by 64 columns. False where the driver refuses it. */
bool make_map(const Device& device, const HeadsView& view, const ViewSizes& sizes, int box_rows, TensorMap& map);

}  // namespace cuda
}  // namespace tfxf
