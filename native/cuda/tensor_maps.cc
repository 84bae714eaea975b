// SPDX-License-Identifier: Apache-2.0
/** tensor_maps.h: a map has the axes column, row, head, batch item. */
#include "cuda/tensor_maps.h"

namespace tfxf {
namespace cuda {
namespace {

constexpr int64_t kBytes = 2, kUnit = 16, kFarthestStep = int64_t{1} << 40;

/** An axis of one element is never stepped along; maps want a step all the same. */
int64_t step_of(int64_t stride, int64_t size) { return size == 1 ? kUnit : stride * kBytes; }

}  // namespace

bool fits_map(const HeadsView& view, const ViewSizes& sizes) {
  const int64_t sized[] = {sizes.batch, sizes.rows, sizes.heads, sizes.dim};
  for (const int64_t size : sized) {
    if (size < 1 || size > INT32_MAX) return false;
  }
  const int64_t steps[] = {step_of(view.row_stride, sizes.rows), step_of(view.head_stride, sizes.heads),
                           step_of(view.batch_stride, sizes.batch)};
  for (const int64_t step : steps) {
    if (step < kUnit || step % kUnit != 0 || step >= kFarthestStep) return false;
  }
  return view.dtype == DType::kBFloat16 && reinterpret_cast<uintptr_t>(view.data) % kUnit == 0;
}

bool make_map(const Device& device, const HeadsView& view, const ViewSizes& sizes, int box_rows, TensorMap& map) {
  const auto number = [](int64_t value) { return static_cast<uint64_t>(value); };
  const uint64_t axes[] = {number(sizes.dim), number(sizes.rows), number(sizes.heads), number(sizes.batch)};
  const uint64_t steps[] = {number(step_of(view.row_stride, sizes.rows)), number(step_of(view.head_stride, sizes.heads)),
                            number(step_of(view.batch_stride, sizes.batch))};
  const unsigned box[] = {64, static_cast<unsigned>(box_rows), 1, 1}, every[] = {1, 1, 1, 1};
  const CuResult result = device.driver->api.TensorMapEncodeTiled(
      &map, kCuMapBFloat16, 4, const_cast<void*>(view.data), axes, steps, box, every, kCuMapPlain, kCuMapSwizzle128,
      kCuMapPromote256, kCuMapZeros);
  return result == kCuSuccess;
}

}  // namespace cuda
}  // namespace tfxf
