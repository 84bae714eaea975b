// SPDX-License-Identifier: Apache-2.0
/**
 * float32 to bfloat16 (nearest, ties to even; NaN stays NaN and becomes quiet) and back.
 *
 * All in integers, so that subnormals survive: vcvtneps2bf16 of AVX512-BF16 would make them zero.
 * Rows of an even number of columns lie end to end and are converted as one row; odd ones are walked one
 * by one, and their padding is written as zero. A work item owns a range of about kItemElements. One
 * pass, nothing held.
 */
#include "cpu/kernels/norm.h"
#include "cpu/kernels/norm_rows.h"

namespace tfxf {
namespace TFXF_ISA {
namespace {

constexpr int64_t kItemElements = 32768;

/** Elements begin … end - 1 of a row. */
template <DType kX, DType kY>
TFXF_INLINE void convert(const void* x, void* y, bool streamed, int64_t begin, int64_t end) {
  each_vector<4>(begin, end, [&](int64_t i, int, auto extent) TFXF_ALWAYS_INLINE {
    store_as<kY>(y, i, load_as<kX>(x, i, extent), streamed, extent);
  });
}

template <DType kX, DType kY>
void convert_flat(const ConvertArgs& args, const Parallel& parallel) {
  const int64_t size = args.rows * args.columns;
  const bool streamed = is_streamed(args.y, kY, 1, size);
  parallel_for(parallel, (size + kItemElements - 1) / kItemElements, [&](int64_t item, int) {
    const int64_t begin = item * kItemElements;
    const int64_t end = begin + kItemElements < size ? begin + kItemElements : size;
    convert<kX, kY>(args.x, args.y, streamed, begin, end);
    finish_streams();
  });
}

template <DType kX, DType kY>
void convert_odd_rows(const ConvertArgs& args, const Parallel& parallel) {
  const int64_t x_stride = row_elements(kX, args.columns);
  const int64_t y_stride = row_elements(kY, args.columns);
  const int64_t item_rows = kItemElements / args.columns + 1;
  parallel_for(parallel, (args.rows + item_rows - 1) / item_rows, [&](int64_t item, int) {
    const int64_t begin = item * item_rows;
    const int64_t end = begin + item_rows < args.rows ? begin + item_rows : args.rows;
    for (int64_t row = begin; row < end; row++) {
      char* y = static_cast<char*>(args.y) + row * y_stride * element_bytes(kY);
      convert<kX, kY>(element(args.x, kX, row * x_stride), y, false, 0, args.columns);
      if (kY == DType::kBFloat16) reinterpret_cast<uint16_t*>(y)[args.columns] = 0;
    }
  });
}

template <DType kX, DType kY>
void convert_rows(const ConvertArgs& args, const Parallel& parallel) {
  if (args.columns % 2 == 0) return convert_flat<kX, kY>(args, parallel);
  convert_odd_rows<kX, kY>(args, parallel);
}

}  // namespace

void pack_bfloat16(const ConvertArgs& args, const Parallel& parallel) {
  convert_rows<DType::kFloat32, DType::kBFloat16>(args, parallel);
}

void unpack_bfloat16(const ConvertArgs& args, const Parallel& parallel) {
  convert_rows<DType::kBFloat16, DType::kFloat32>(args, parallel);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
