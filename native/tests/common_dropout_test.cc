// SPDX-License-Identifier: Apache-2.0
/**
 * common/dropout.h against bits that were computed elsewhere in arbitrary precision: those of
 * test/unit/dropout.test.ts, which src/spec/dropout.ts gives too.
 */
#include "common/dropout.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

constexpr uint32_t kThreshold = 1288490188;  // floor(0.3 * 2^32)

struct Row {
  uint32_t seed, b, h, i, key;
  const char* bits;
};

const Row kRows[] = {
    {0, 0, 0, 0, 0xe6e72839u, "111111111110011111110110101110010010011111111011"},
    {7, 0, 0, 0, 0xcfe90682u, "110011101110111110101111011111001100110010001111"},
    {7, 1, 2, 3, 0xb267eceau, "110111111101111111001101000111111110111010100101"},
    {0xffffffffu, 3, 31, 70000, 0x90fac509u, "101111111110110111011111111111100011000111111111"},
};

TFXF_TEST(dropout_mix, "common/dropout/mixes as lowbias32 does") {
  TFXF_CHECK(dropout_mix(0u) == 0u);
  TFXF_CHECK(dropout_mix(1u) == 0x688990c0u);
  TFXF_CHECK(dropout_mix(2u) == 0xd1132181u);
  TFXF_CHECK(dropout_mix(0xffffffffu) == 0x6768824au);
  TFXF_CHECK(dropout_mix(0x12345678u) == 0xf5e71c96u);
}

TFXF_TEST(dropout_rows, "common/dropout/keeps the right keys") {
  for (const Row& row : kRows) {
    const uint32_t key = dropout_row_key(dropout_head_key(row.seed, row.b, row.h), row.i);
    TFXF_CHECK(key == row.key);
    std::string bits;
    for (uint32_t j = 0; row.bits[j] != 0; j++) {
      bits += dropout_draw<uint32_t>(key, j) >= kThreshold ? '1' : '0';
    }
    if (bits != row.bits) fail(format("seed %u: got %s, expected %s", row.seed, bits.c_str(), row.bits));
  }
}

TFXF_TEST(dropout_vectors, "common/dropout/gives vectors the same draws") {
  typedef uint32_t Four __attribute__((vector_size(16)));
  const uint32_t head = dropout_head_key(7, 1, 2);
  const Four keys = dropout_row_key(head, Four{0, 1, 2, 70000});
  const Four draws = dropout_draw(keys, Four{5, 5, 6, 123456});
  const uint32_t i[4] = {0, 1, 2, 70000}, j[4] = {5, 5, 6, 123456};
  for (int n = 0; n < 4; n++) {
    TFXF_CHECK(draws[n] == dropout_draw<uint32_t>(dropout_row_key(head, i[n]), j[n]));
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
