// SPDX-License-Identifier: Apache-2.0
/** Single elements of what the products of a warpgroup read: tiles of slices (device_hopper.h) and packed A fragments. */
#pragma once

#include "cuda/device.h"
#include "cuda/shapes.h"

namespace tfxf {
namespace cuda {

/** Element of a tile of slices of kRows rows. */
template <int kRows>
TFXF_DEVICE BFloat16 slice_element(const unsigned char* tile, int row, int column) {
  const int chunk = (column >> 3) & 7;
  const unsigned char* const at = tile + 128 * ((column >> 6) * kRows + row) + 16 * (chunk ^ (row & 7));
  return reinterpret_cast<const BFloat16*>(at)[column & 7];
}

/** Half a word of registers that is known only at run time: the weight of a key in packed A fragments. */
template <int kSteps>
TFXF_DEVICE float packed_weight(const uint32_t (&w)[kSteps][4], int key, int half) {
  const int step = key >> 4, at = ((key >> 3) & 1) * 2 + half;
  uint32_t word = 0;
#pragma unroll
  for (int k = 0; k < kSteps; k++) {
#pragma unroll
    for (int n = 0; n < 4; n++) word = step == k && at == n ? w[k][n] : word;
  }
  return widen((key & 1) != 0 ? word >> 16 : word & 0xffffu);
}

}  // namespace cuda
}  // namespace tfxf
