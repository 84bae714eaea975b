// SPDX-License-Identifier: Apache-2.0
/**
 * Chooses the kernel table. On x86-64 two things must hold for an instruction set: the processor has
 * it (CPUID), and the operating system saves its registers (XGETBV). Elsewhere there is one table.
 */
#include "cpu/kernel_table.h"

#include <stdlib.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#define TFXF_X86 1
#endif

#if defined(TFXF_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tfxf {

#if defined(TFXF_AMX)
namespace amxbf16 {
const KernelTable& table();
}
#endif
#if defined(TFXF_X86)
namespace avx512bf16 {
const KernelTable& table();
}
namespace avx512 {
const KernelTable& table();
}
namespace avx2 {
const KernelTable& table();
}
#endif
namespace baseline {
const KernelTable& table();
}

namespace {

#if defined(TFXF_X86)

struct Features {
  bool avx2, avx512, avx512bf16, amxbf16;
};

/** Whether the bits of a register are all set. */
bool has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

/** The register states that the operating system saves; only where CPUID says OSXSAVE. */
uint32_t saved_states() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/**
 * Whether there are AMX tiles with bfloat16 products, and this process may use them: on Linux it has to ask, because
 * their registers make every signal frame larger.
 */
bool may_use_tiles(uint32_t states) {
#if defined(TFXF_AMX)
  constexpr uint32_t kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kTileStates = 0x60000;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(d, kAmxBf16 | kAmxTile)) return false;
  return has(states, kTileStates) && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  (void)states;
  return false;
#endif
}

Features find_features() {
  constexpr uint32_t kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  constexpr uint32_t kAvx2 = 1u << 5;
  constexpr uint32_t kF = 1u << 16, kDq = 1u << 17, kBw = 1u << 30, kVl = 1u << 31;
  constexpr uint32_t kBf16 = 1u << 5;
  constexpr uint32_t kVectorStates = 0x06, kMaskStates = 0xe0;  // XMM, YMM; opmask, both ZMM parts
  Features features = {};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, kFma | kOsxsave | kAvx | kF16c)) return features;
  const uint32_t states = saved_states();
  if (!has(states, kVectorStates) || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  features.avx2 = has(b, kAvx2);
  features.avx512 = features.avx2 && has(b, kF | kDq | kBw | kVl) && has(states, kMaskStates);
  const bool has_more = a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d);
  features.avx512bf16 = features.avx512 && has_more && has(a, kBf16);
  features.amxbf16 = features.avx512bf16 && may_use_tiles(states);
  return features;
}

#endif

}  // namespace

int available_kernels(const KernelTable** tables, int capacity) {
  int count = 0;
  const auto add = [&](bool runs, const KernelTable& table) {
    if (runs && count < capacity) tables[count++] = &table;
  };
#if defined(TFXF_X86)
  const Features features = find_features();
#if defined(TFXF_AMX)
  add(features.amxbf16, amxbf16::table());
#endif
  add(features.avx512bf16, avx512bf16::table());
  add(features.avx512, avx512::table());
  add(features.avx2, avx2::table());
#endif
  add(true, baseline::table());
  return count;
}

namespace {

const KernelTable* choose() {
  const KernelTable* tables[5];
  const int count = available_kernels(tables, 5);
  const char* wanted = getenv("TFXF_ISA");
  for (int n = 0; wanted != nullptr && n < count; n++) {
    if (is_name_of(*tables[n], wanted)) return tables[n];
  }
  return tables[0];
}

/** The next letter or digit, in lower case; 0 at the end. */
char next_sign(const char*& text) {
  for (; *text != 0; text++) {
    const char c = *text;
    if (c >= 'A' && c <= 'Z') return text++, static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return text++, c;
  }
  return 0;
}

}  // namespace

bool is_name_of(const KernelTable& table, const char* text) {
  const char* name = table.name;
  for (;;) {
    const char sign = next_sign(text);
    if (sign != next_sign(name)) return false;
    if (sign == 0) return true;
  }
}

const KernelTable& kernels() {
  // Threads that come first at the same time choose the same.
  static const KernelTable* chosen = nullptr;
  const KernelTable* table = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
  if (table == nullptr) {
    table = choose();
    __atomic_store_n(&chosen, table, __ATOMIC_RELAXED);
  }
  return *table;
}

}  // namespace tfxf
