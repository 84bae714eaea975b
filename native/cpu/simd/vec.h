// SPDX-License-Identifier: Apache-2.0
/**
 * Vectors of the instruction set that this translation unit is compiled for: kWidth floats, or as
 * many 32-bit integers. GCC's and Clang's vector types give + - * < ?: and shifts; what they cannot
 * say stands here.
 *
 * Everything is static: an inline function shared with a translation unit of another instruction set
 * would be merged by the linker, and the wrong one might stay. For the same reason kernels use no
 * templates or inline functions of the C++ library (native/tests checks the objects for it).
 */
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
// GCC 12 warns of its own _mm512 functions, which leave a vector undefined on purpose (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "common/dtype.h"

#ifndef TFXF_ISA
#error "TFXF_ISA names the instruction set and its namespace; see native/CMakeLists.txt"
#endif

#define TFXF_INLINE static inline __attribute__((always_inline))
/** For members and lambdas. */
#define TFXF_ALWAYS_INLINE __attribute__((always_inline))

namespace tfxf {
namespace TFXF_ISA {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Vf __attribute__((vector_size(4 * kWidth)));
typedef int32_t Vi __attribute__((vector_size(4 * kWidth)));
typedef uint32_t Vu __attribute__((vector_size(4 * kWidth)));
typedef Vf VfUnaligned __attribute__((aligned(4), may_alias));
typedef Vu VuUnaligned __attribute__((aligned(4), may_alias));

TFXF_INLINE Vf load(const float* p) { return *reinterpret_cast<const VfUnaligned*>(p); }
TFXF_INLINE void store(float* p, Vf v) { *reinterpret_cast<VfUnaligned*>(p) = v; }
TFXF_INLINE Vu load_words(const uint32_t* p) { return *reinterpret_cast<const VuUnaligned*>(p); }
TFXF_INLINE void store_words(uint32_t* p, Vu v) { *reinterpret_cast<VuUnaligned*>(p) = v; }
TFXF_INLINE Vf splat(float x) { return x - Vf{}; }
TFXF_INLINE Vu splat_word(uint32_t x) { return x - Vu{}; }
TFXF_INLINE Vi splat_int(int32_t x) { return x - Vi{}; }
TFXF_INLINE Vu bits_of(Vf v) { return reinterpret_cast<Vu>(v); }
TFXF_INLINE Vf float_of(Vu v) { return reinterpret_cast<Vf>(v); }

/** 0, 1, 2, … */
TFXF_INLINE Vi lane_numbers() {
#if defined(__AVX512F__)
  return Vi{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
  return Vi{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return Vi{0, 1, 2, 3};
#endif
}

/** a * b + c, in one rounding where the hardware has it. */
TFXF_INLINE Vf fma(Vf a, Vf b, Vf c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

/** x, rounded: keeps the compiler from fusing a product with the sum that it goes into. */
TFXF_INLINE Vf rounded(Vf x) {
#if defined(__x86_64__)
  asm("" : "+v"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}

/** The larger one; `x` itself where x is NaN. */
TFXF_INLINE Vf max_keep_nan(Vf x, Vf other) {
#if defined(__AVX512F__)
  return _mm512_max_ps(other, x);
#elif defined(__AVX2__)
  return _mm256_max_ps(other, x);
#else
  return x < other ? other : x;
#endif
}

/** As max_keep_nan, of the smaller one. */
TFXF_INLINE Vf min_keep_nan(Vf x, Vf other) {
#if defined(__AVX512F__)
  return _mm512_min_ps(other, x);
#elif defined(__AVX2__)
  return _mm256_min_ps(other, x);
#else
  return x > other ? other : x;
#endif
}

TFXF_INLINE float sum_lanes(Vf v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(v);
#else
  float sum = 0.0f;
  for (int i = 0; i < kWidth; i++) sum += v[i];
  return sum;
#endif
}

/** The largest lane; NaN if one is NaN. */
TFXF_INLINE float max_lanes(Vf v) {
#if defined(__AVX512F__)
  if (_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) == 0) return _mm512_reduce_max_ps(v);
  return __builtin_nanf("");
#else
  float max = v[0];
  for (int i = 1; i < kWidth; i++) {
    if (!(v[i] <= max) && max == max) max = v[i];
  }
  return max;
#endif
}

/** The first n < kWidth values; the others are 0. */
TFXF_INLINE Vf load_first(const float* p, int64_t n) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
#else
  Vf v = {};
  memcpy(&v, p, static_cast<size_t>(n) * 4);
  return v;
#endif
}

TFXF_INLINE void store_first(float* p, Vf v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
#else
  memcpy(p, &v, static_cast<size_t>(n) * 4);
#endif
}

/** kWidth bfloat16 values, exactly. */
TFXF_INLINE Vf load_bfloat16(const uint16_t* p) {
#if defined(__AVX512F__)
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
#elif defined(__AVX2__)
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
#else
  Vu words;
  for (int i = 0; i < kWidth; i++) words[i] = static_cast<uint32_t>(p[i]) << 16;
  return float_of(words);
#endif
}

/** The nearest bfloat16 of each lane in the high half of its word; the low half is arbitrary. */
TFXF_INLINE Vu rounded_words(Vf v) {
  const Vu word = bits_of(v);
  const Vu nearest = word + 0x7fffu + ((word >> 16) & 1u);
  return (word & 0x7fffffffu) > 0x7f800000u ? (word | 0x00400000u) : nearest;
}

#if defined(__AVX512F__)
TFXF_INLINE __m256i bfloat16_of(Vf v) {
#if defined(__AVX512BF16__)
  // In one instruction, unless there are subnormal values: it would make them 0.
  constexpr int kSubnormal = 0x20;
  if (__builtin_expect(_mm512_fpclass_ps_mask(v, kSubnormal) == 0, 1)) {
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v));
  }
#endif
  return _mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(rounded_words(v) >> 16));
}
#endif

/** Rounds to nearest even, as round_bfloat16. */
TFXF_INLINE void store_bfloat16(uint16_t* p, Vf v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bfloat16_of(v));
#elif defined(__AVX2__)
  const Vu words = rounded_words(v) >> 16;
  const __m256i w = reinterpret_cast<__m256i>(words);
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
#else
  const Vu words = rounded_words(v) >> 16;
  for (int i = 0; i < kWidth; i++) p[i] = static_cast<uint16_t>(words[i]);
#endif
}

TFXF_INLINE Vf load_first_bfloat16(const uint16_t* p, int64_t n) {
  uint16_t values[kWidth] = {};
  memcpy(values, p, static_cast<size_t>(n) * 2);
  return load_bfloat16(values);
}

TFXF_INLINE void store_first_bfloat16(uint16_t* p, Vf v, int64_t n) {
  uint16_t values[kWidth];
  store_bfloat16(values, v);
  memcpy(p, values, static_cast<size_t>(n) * 2);
}

/** 2^f for f in [-0.5, 0.5], within 2e-7 relative, times `unit`, a power of two. */
TFXF_INLINE Vf exp2_of_fraction(Vf f, float unit) {
  Vf p = splat(1.3264727e-3f * unit);
  p = fma(p, f, splat(9.6715130e-3f * unit));
  p = fma(p, f, splat(5.5507336e-2f * unit));
  p = fma(p, f, splat(2.4022242e-1f * unit));
  p = fma(p, f, splat(6.9314700e-1f * unit));
  return fma(p, f, splat(unit));
}

/**
 * 2^x for x <= 127; 0 below 2^-126, NaN for NaN. x = n + f with n whole: 2^n goes into the exponent of 2^f. Times `unit`, a power
 * of two, which costs nothing; with AVX-512 only.
 */
TFXF_INLINE Vf exp2(Vf x, float unit = 1.0f) {
#if defined(__AVX512F__)
  const Vf n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // "Not less" holds for NaN, too.
  const __mmask16 normal = _mm512_cmp_ps_mask(x, splat(-126.0f), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(normal, exp2_of_fraction(x - n, unit), n);
#else
  const Vf magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vf shifted = x + magic;
  // Unsigned, because it wraps around where x < -126, and is not used there.
  const Vu scaled = bits_of(exp2_of_fraction(x - (shifted - magic), unit)) + (bits_of(shifted) << 23);
  return x >= -126.0f ? reinterpret_cast<Vf>(scaled) : max_keep_nan(x, Vf{});
#endif
}

/** e^x for x <= 88, times `unit` as in exp2. */
TFXF_INLINE Vf exp(Vf x, float unit = 1.0f) { return exp2(x * 1.4426950408889634f, unit); }

/** Within 2e-7 absolute; NaN for NaN. */
TFXF_INLINE Vf tanh(Vf x) {
  const Vu sign = bits_of(x) & 0x80000000u;
  const Vf magnitude = float_of(bits_of(x) & 0x7fffffffu);
  const Vf e = exp(magnitude * -2.0f);
  const Vf t = (1.0f - e) / (1.0f + e);
  return float_of(bits_of(t) | sign);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
