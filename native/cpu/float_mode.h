// SPDX-License-Identifier: Apache-2.0
/**
 * The floating-point mode of a thread: how it rounds, and whether subnormal numbers count as zero.
 *
 * TensorFlow flushes subnormals on some of its threads and not on others, and a kernel's results must
 * not depend on the thread that runs an item. So callers of kernels set the mode that they want, and
 * the thread pool gives it to every thread that takes part.
 */
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace tfxf {

enum class Subnormals { kKeep, kFlush };

#if defined(__x86_64__) || defined(_M_X64)
/** All exceptions masked, round to nearest even; FTZ and DAZ are the two bits of kFlush. */
static inline uint64_t float_mode_bits(Subnormals subnormals) {
  return subnormals == Subnormals::kFlush ? 0x9fc0u : 0x1f80u;
}
static inline uint64_t float_mode() { return _mm_getcsr(); }
static inline void set_float_mode(uint64_t bits) { _mm_setcsr(static_cast<uint32_t>(bits)); }
#elif defined(__aarch64__)
static inline uint64_t float_mode_bits(Subnormals subnormals) {
  return subnormals == Subnormals::kFlush ? 1u << 24 : 0u;
}
static inline uint64_t float_mode() {
  uint64_t bits;
  __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
  return bits;
}
static inline void set_float_mode(uint64_t bits) { __asm__ volatile("msr fpcr, %0" : : "r"(bits)); }
#else
#error "tfjs-xformers has kernels for x86-64 and arm64"
#endif

/** Sets a mode for a scope. */
class FloatModeScope {
 public:
  explicit FloatModeScope(uint64_t bits) : before_(float_mode()) { set_float_mode(bits); }
  explicit FloatModeScope(Subnormals subnormals) : FloatModeScope(float_mode_bits(subnormals)) {}
  ~FloatModeScope() { set_float_mode(before_); }
  FloatModeScope(const FloatModeScope&) = delete;
  FloatModeScope& operator=(const FloatModeScope&) = delete;

 private:
  uint64_t before_;
};

}  // namespace tfxf
