// SPDX-License-Identifier: Apache-2.0
/**
 * Vectors of rows in either storage type: loads widen, stores round once and may go past the caches.
 *
 * A streamed store spares the memory the read of a line that is overwritten anyway, and leaves the
 * caches to what is read again. It pays only where the tensor is too large to be found in a cache
 * by whoever reads it next.
 */
#pragma once

#include "cpu/caches.h"
#include "cpu/norm.h"
#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

/** A whole vector, or the first n < kWidth columns of one at the end of a row. */
struct Whole {};
struct Part {
  int64_t n;
};

TFXF_INLINE Vf keep(Vf v, Whole) { return v; }
/** Zero in the lanes that lie behind the row. */
TFXF_INLINE Vf keep(Vf v, Part part) {
  return lane_numbers() < static_cast<int32_t>(part.n) ? v : Vf{};
}

TFXF_INLINE void stream(float* p, Vf v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, v);
#elif defined(__x86_64__)
  _mm_stream_ps(p, v);
#else
  store(p, v);
#endif
}

TFXF_INLINE void stream_bfloat16(uint16_t* p, Vf v) {
#if defined(__AVX512F__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), bfloat16_of(v));
#else
  uint16_t values[kWidth];
  store_bfloat16(values, v);
#if defined(__AVX2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), *reinterpret_cast<const __m128i_u*>(values));
#elif defined(__x86_64__)
  long long bits;
  memcpy(&bits, values, 8);
  _mm_stream_si64(reinterpret_cast<long long*>(p), bits);
#else
  memcpy(p, values, sizeof values);
#endif
#endif
}

/** Streamed stores are visible to other threads after this. */
TFXF_INLINE void finish_streams() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

/** Asks for memory: into the first cache (kLocality 3) or the second (2). */
template <int kLocality>
TFXF_INLINE void prefetch(const void* p) {
  __builtin_prefetch(p, 0, kLocality);
}

TFXF_INLINE const void* element(const void* data, DType dtype, int64_t index) {
  return static_cast<const char*>(data) + index * element_bytes(dtype);
}

TFXF_INLINE float load_one(const RowsView& view, int64_t index) {
  const void* p = element(view.data, view.dtype, index);
  if (view.dtype == DType::kFloat32) return *static_cast<const float*>(p);
  return widen_bfloat16(*static_cast<const uint16_t*>(p));
}

template <DType kType>
TFXF_INLINE Vf load_as(const void* data, int64_t i, Whole) {
  if (kType == DType::kFloat32) return load(static_cast<const float*>(data) + i);
  return load_bfloat16(static_cast<const uint16_t*>(data) + i);
}

template <DType kType>
TFXF_INLINE Vf load_as(const void* data, int64_t i, Part part) {
  if (kType == DType::kFloat32) return load_first(static_cast<const float*>(data) + i, part.n);
  return load_first_bfloat16(static_cast<const uint16_t*>(data) + i, part.n);
}

/** The storage type is looked at here: for what is read once for several rows. */
template <typename Extent>
TFXF_INLINE Vf load_any(const RowsView& view, int64_t i, Extent extent) {
  if (view.dtype == DType::kFloat32) return load_as<DType::kFloat32>(view.data, i, extent);
  return load_as<DType::kBFloat16>(view.data, i, extent);
}

/** gamma + offset, or 1 without gamma. */
template <typename Extent>
TFXF_INLINE Vf load_weight(const RowsView& gamma, float offset, int64_t i, Extent extent) {
  if (gamma.data == nullptr) return splat(1.0f);
  return load_any(gamma, i, extent) + offset;
}

/** beta, or 0 without beta. */
template <typename Extent>
TFXF_INLINE Vf load_bias(const RowsView& beta, int64_t i, Extent extent) {
  return beta.data == nullptr ? Vf{} : load_any(beta, i, extent);
}

/** Streamed stores want an address that is a multiple of the vector's size. */
template <DType kType>
TFXF_INLINE void store_as(void* data, int64_t i, Vf v, bool streamed, Whole) {
  if (kType == DType::kFloat32) {
    float* p = static_cast<float*>(data) + i;
    streamed ? stream(p, v) : store(p, v);
  } else {
    uint16_t* p = static_cast<uint16_t*>(data) + i;
    streamed ? stream_bfloat16(p, v) : store_bfloat16(p, v);
  }
}

/** Rows with such an end are never streamed. */
template <DType kType>
TFXF_INLINE void store_as(void* data, int64_t i, Vf v, bool, Part part) {
  if (kType == DType::kFloat32) return store_first(static_cast<float*>(data) + i, v, part.n);
  store_first_bfloat16(static_cast<uint16_t*>(data) + i, v, part.n);
}

/** p[i] += v */
template <typename Extent>
TFXF_INLINE void add_to(float* p, int64_t i, Vf v, Extent extent) {
  store_as<DType::kFloat32>(p, i, load_as<DType::kFloat32>(p, i, extent) + v, false, extent);
}

/** Whether rows of an output are streamed. */
TFXF_INLINE bool is_streamed(const void* data, DType dtype, int64_t rows, int64_t columns) {
  return rows * columns * element_bytes(dtype) >= streamed_bytes() && columns % kWidth == 0 &&
         reinterpret_cast<uintptr_t>(data) % 64 == 0;
}

}  // namespace TFXF_ISA
}  // namespace tfxf
