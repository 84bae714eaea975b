// SPDX-License-Identifier: Apache-2.0
/**
 * Rounding to bfloat16 and widening: common/dtype.h and every table's kernels against the golden bits and over all
 * 65,536 values, rows of even and odd length, no rows at all, and any number of workers.
 */
#include <cmath>

#include "tests/attention_call.h"
#include "tests/golden.h"
#include "tests/guarded.h"
#include "tests/random.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

bool is_nan_bits(uint16_t bits) { return (bits & 0x7fff) > 0x7f80; }

/** The bits that pack gives, row after row; fails where padding is not zero. */
std::vector<uint16_t> pack(const KernelTable& table, const std::vector<float>& values, int64_t columns,
                           const Parallel& parallel) {
  const int64_t rows = columns == 0 ? 0 : static_cast<int64_t>(values.size()) / columns;
  const int64_t stride = row_elements(DType::kBFloat16, columns);
  const Guarded<float> x = Guarded<float>::of(values, "pack's x");
  Guarded<uint16_t> y(rows * stride, kGarbageByte, "pack's y");
  table.pack_bfloat16({rows, columns, x.data(), y.data()}, parallel);
  std::vector<uint16_t> bits;
  for (int64_t n = 0; n < rows * stride; n++) {
    if (n % stride < columns) {
      bits.push_back(y[n]);
    } else if (y[n] != 0) {
      fail(format("%s: pack leaves 0x%04x in the padding", table.name, y[n]));
    }
  }
  return bits;
}

/** The values that unpack gives; the padding holds NaN. */
std::vector<float> unpack(const KernelTable& table, const std::vector<uint16_t>& bits, int64_t columns,
                          const Parallel& parallel) {
  const int64_t rows = columns == 0 ? 0 : static_cast<int64_t>(bits.size()) / columns;
  const int64_t stride = row_elements(DType::kBFloat16, columns);
  Guarded<uint16_t> x(rows * stride, kGuardByte, "unpack's x");
  for (size_t n = 0; n < bits.size(); n++) {
    const int64_t at = static_cast<int64_t>(n);
    x[at / columns * stride + at % columns] = bits[n];
  }
  Guarded<float> y(rows * columns, kGarbageByte, "unpack's y");
  table.unpack_bfloat16({rows, columns, x.data(), y.data()}, parallel);
  return y.values();
}

TFXF_TEST(golden_rounding, "golden/bf16/rounding") {
  const GoldenFile& golden = golden_file("bf16");
  const std::vector<uint32_t> from = golden.values<uint32_t>("f32_bits");
  const std::vector<uint16_t> want = golden.values<uint16_t>("bf16_bits");
  std::vector<float> values;
  for (const uint32_t bits : from) values.push_back(float_of_bits(bits));
  for (size_t n = 0; n < want.size(); n++) TFXF_CHECK(round_bfloat16(values[n]) == want[n]);
  for (const KernelTable* table : tables()) {
    const std::vector<uint16_t> got = pack(*table, values, static_cast<int64_t>(values.size()), in_turns(2));
    for (size_t n = 0; n < want.size(); n++) {
      if (got[n] == want[n]) continue;
      fail(format("%s: 0x%08x becomes 0x%04x, not 0x%04x", table->name, from[n], got[n], want[n]));
    }
  }
}

TFXF_TEST(golden_nan, "golden/bf16/NaN stays NaN") {
  std::vector<float> values;
  for (const uint32_t bits : golden_file("bf16").values<uint32_t>("nan_f32_bits")) {
    values.push_back(float_of_bits(bits));
    TFXF_CHECK(is_nan_bits(round_bfloat16(values.back())));
  }
  for (int copy = 0; copy < 3; copy++) values.insert(values.end(), values.begin(), values.begin() + 8);
  for (const KernelTable* table : tables()) {
    for (const uint16_t bits : pack(*table, values, static_cast<int64_t>(values.size()), in_turns(1))) {
      if (!is_nan_bits(bits)) fail(format("%s: NaN becomes 0x%04x", table->name, bits));
    }
  }
}

TFXF_TEST(all_bits, "common/bf16/all 65,536 values there and back") {
  std::vector<uint16_t> bits;
  for (uint32_t n = 0; n < 65536; n++) bits.push_back(static_cast<uint16_t>(n));
  for (const KernelTable* table : tables()) {
    const std::vector<float> wide = unpack(*table, bits, 64, in_turns(2));
    for (uint32_t n = 0; n < 65536; n++) {
      const float want = float_of_bits(n << 16), plain = widen_bfloat16(bits[n]);
      if (memcmp(&wide[n], &want, 4) != 0) fail(format("%s: 0x%04x widens wrongly", table->name, n));
      TFXF_CHECK(memcmp(&plain, &want, 4) == 0);
    }
    const std::vector<uint16_t> back = pack(*table, wide, 64, in_turns(2));
    for (uint32_t n = 0; n < 65536; n++) {
      const bool same = is_nan_bits(bits[n]) ? is_nan_bits(back[n]) : back[n] == bits[n];
      if (!same) fail(format("%s: 0x%04x comes back as 0x%04x", table->name, n, back[n]));
    }
  }
}

void check_rows(uint64_t seed) {
  Random random(seed);
  const int64_t columns = random.chance(0.5) ? random.integer(1, 70) : random.integer(1, 3000);
  const int64_t rows = random.chance(0.1) ? 0 : random.integer(1, 6000 / columns + 3);
  std::vector<float> values = draw_tensor(static_cast<uint32_t>(seed), rows * columns);
  if (!values.empty()) values[values.size() / 2] = NAN;
  for (const KernelTable* table : tables()) {
    const std::vector<uint16_t> bits = pack(*table, values, columns, in_turns(1));
    for (size_t n = 0; n < values.size(); n++) {
      if (bits[n] != round_bfloat16(values[n]) && !std::isnan(values[n])) {
        fail(format("%s, %ldx%ld: element %zu is wrong", table->name, static_cast<long>(rows),
                    static_cast<long>(columns), n));
      }
    }
    TFXF_CHECK(pack(*table, values, columns, in_threads(3)) == bits);
    std::vector<float> wide;
    for (const uint16_t one : bits) wide.push_back(widen_bfloat16(one));
    expect_same_bits(table->name, unpack(*table, bits, columns, in_threads(3)), wide, {rows, columns});
  }
}

TFXF_SUITE(bf16_fuzz) {
  for (int n = 0; n < rounds_or(40); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    add_test("fuzz/bf16/seed=" + std::to_string(seed), [seed] { check_rows(seed); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
