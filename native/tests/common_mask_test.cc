// SPDX-License-Identifier: Apache-2.0
/**
 * common/mask.h against truth tables written out by hand, and its intervals against its own visible(), over every small
 * shape: as test/unit/mask.test.ts does with src/spec/mask.ts.
 */
#include <algorithm>

#include "common/mask.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

Mask window(int64_t left, int64_t right, bool bottom_right) {
  Mask mask;
  mask.window_left = left;
  mask.window_right = right;
  mask.bottom_right = bottom_right;
  return mask;
}

/** A line of 0 and 1 for each query. */
std::string table_of(const Mask& mask, int64_t b, int64_t queries, int64_t keys) {
  const MaskBlock block = block_of(mask, b, queries, keys);
  std::string rows;
  for (int64_t i = 0; i < block.q_length; i++) {
    if (i > 0) rows += ' ';
    for (int64_t j = 0; j < block.k_length; j++) rows += visible(mask, block, i, j) ? '1' : '0';
  }
  return rows;
}

void expect_table(const char* what, const Mask& mask, int64_t b, int64_t queries, int64_t keys,
                  const std::string& want) {
  const std::string got = table_of(mask, b, queries, keys);
  if (got != want) fail(format("%s: got %s, expected %s", what, got.c_str(), want.c_str()));
}

TFXF_TEST(mask_tables, "common/mask/truth tables by hand") {
  const int64_t all = kUnbounded;
  expect_table("no mask", Mask(), 0, 2, 3, "111 111");
  expect_table("causal", window(all, 0, false), 0, 3, 3, "100 110 111");
  expect_table("causal, wide", window(all, 0, false), 0, 2, 4, "1000 1100");
  expect_table("causal, tall", window(all, 0, false), 0, 4, 2, "10 11 11 11");
  expect_table("causal from the bottom right, wide", window(all, 0, true), 0, 2, 4, "1110 1111");
  expect_table("causal from the bottom right, tall", window(all, 0, true), 0, 4, 2, "00 00 10 11");
  expect_table("window 1, 2", window(1, 2, false), 0, 3, 5, "11100 11110 01111");
  expect_table("window 1, 2 from the bottom right", window(1, 2, true), 0, 3, 5, "01111 00111 00011");
  expect_table("window 1, 2 from the bottom right, tall", window(1, 2, true), 0, 4, 2, "10 11 11 11");
  expect_table("the diagonal", window(0, 0, false), 0, 3, 4, "1000 0100 0010");
  expect_table("the future", window(0, all, false), 0, 3, 3, "111 011 001");
  expect_table("a strip", window(2, 0, false), 0, 5, 5, "10000 11000 11100 01110 00111");
}

TFXF_TEST(mask_blocks, "common/mask/blocks and pages by hand") {
  const int32_t q_start[] = {0, 2, 2, 5}, k_start[] = {1, 0, 4}, k_length[] = {3, 2, 2};
  Mask mask = window(kUnbounded, 0, true);
  mask.num_blocks = 3;
  mask.q_start = q_start;
  mask.k_start = k_start;
  mask.k_length = k_length;
  TFXF_CHECK(block_count(mask) == 3);
  TFXF_CHECK(block_count(Mask()) == 1);
  expect_table("block of 2 queries, 3 keys", mask, 0, 5, 6, "110 111");
  expect_table("block without queries", mask, 1, 5, 6, "");
  expect_table("block of 3 queries, 2 keys", mask, 2, 5, 6, "00 10 11");
  const MaskBlock last = block_of(mask, 2, 5, 6);
  TFXF_CHECK(last.q_start == 2 && last.q_length == 3 && last.k_start == 4 && last.k_length == 2);
  TFXF_CHECK(last.shift == -1 && last.pages == nullptr);
  TFXF_CHECK(key_row(last, 0) == 4 && key_row(last, 1) == 5);
  const int32_t page_start[] = {0, 2, 3}, page_table[] = {4, 1, 0, 7};
  mask.page_size = 2;
  mask.page_start = page_start;
  mask.page_table = page_table;
  const MaskBlock paged = block_of(mask, 0, 5, 16);
  TFXF_CHECK(key_row(paged, 0) == 8 && key_row(paged, 1) == 9 && key_row(paged, 2) == 2);
  TFXF_CHECK(key_row(block_of(mask, 2, 5, 16), 1) == 15);
}

/** Calls with every window of small sides and every shape up to 6 x 6. */
template <typename Visit>
void for_each_small(const Visit& visit) {
  for (const int64_t left : {int64_t{0}, int64_t{1}, int64_t{3}, kUnbounded}) {
    for (const int64_t right : {int64_t{0}, int64_t{1}, int64_t{3}, kUnbounded}) {
      for (const bool bottom_right : {false, true}) {
        for (int64_t q = 0; q <= 6; q++) {
          for (int64_t k = 0; k <= 6; k++) {
            const Mask mask = window(left, right, bottom_right);
            visit(mask, block_of(mask, 0, q, k), q, k);
          }
        }
      }
    }
  }
}

/** Fails unless the numbers 0 <= n < length in the interval are those that `wanted` says. */
template <typename Wanted>
void expect_interval(const char* what, const Interval& found, int64_t length, const Wanted& wanted) {
  for (int64_t n = 0; n < length; n++) {
    if ((found.begin <= n && n < found.end) == wanted(n)) continue;
    return fail(format("%s: [%ld, %ld) is wrong at %ld", what, static_cast<long>(found.begin),
                       static_cast<long>(found.end), static_cast<long>(n)));
  }
  if (found.begin < found.end && (found.begin < 0 || found.end > length)) {
    fail(format("%s: [%ld, %ld) leaves 0 … %ld", what, static_cast<long>(found.begin),
                static_cast<long>(found.end), static_cast<long>(length)));
  }
}

TFXF_TEST(mask_keys, "common/mask/visible_keys is what its queries see") {
  for_each_small([](const Mask& mask, const MaskBlock& block, int64_t q, int64_t k) {
    for (int64_t i0 = 0; i0 < q; i0++) {
      for (int64_t i1 = i0 + 1; i1 <= q; i1++) {
        expect_interval("visible_keys", visible_keys(mask, block, i0, i1), k, [&](int64_t j) {
          bool any = false;
          for (int64_t i = i0; i < i1; i++) any = any || visible(mask, block, i, j);
          return any;
        });
      }
    }
  });
}

TFXF_TEST(mask_queries, "common/mask/visible_queries is who sees its keys") {
  for_each_small([](const Mask& mask, const MaskBlock& block, int64_t q, int64_t k) {
    for (int64_t j0 = 0; j0 < k; j0++) {
      for (int64_t j1 = j0 + 1; j1 <= k; j1++) {
        expect_interval("visible_queries", visible_queries(mask, block, j0, j1), q, [&](int64_t i) {
          bool any = false;
          for (int64_t j = j0; j < j1; j++) any = any || visible(mask, block, i, j);
          return any;
        });
      }
    }
  });
}

TFXF_TEST(mask_all, "common/mask/all_visible says whether all are visible") {
  for_each_small([](const Mask& mask, const MaskBlock& block, int64_t q, int64_t k) {
    for (int64_t i0 = 0; i0 < q; i0++) {
      for (int64_t i1 = i0 + 1; i1 <= q; i1++) {
        for (int64_t j0 = 0; j0 < k; j0++) {
          for (int64_t j1 = j0 + 1; j1 <= k; j1++) {
            bool all = true;
            for (int64_t i = i0; i < i1; i++) {
              for (int64_t j = j0; j < j1; j++) all = all && visible(mask, block, i, j);
            }
            TFXF_CHECK(all_visible(mask, block, i0, i1, j0, j1) == all);
          }
        }
      }
    }
  });
}

TFXF_TEST(mask_long, "common/mask/unbounded windows fit next to long tensors") {
  const int64_t length = kUnbounded;
  const Interval keys = visible_keys(Mask(), block_of(Mask(), 0, length, length), 0, length);
  TFXF_CHECK(keys.begin == 0 && keys.end == length);
  TFXF_CHECK(kUnbounded + length < (int64_t{1} << 31));
  TFXF_CHECK(!visible(Mask(), block_of(Mask(), 0, 1, 3), 0, 3));
  TFXF_CHECK(!visible(Mask(), block_of(Mask(), 0, 1, 3), 0, -1));
}

}  // namespace
}  // namespace test
}  // namespace tfxf
