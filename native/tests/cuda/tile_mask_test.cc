// SPDX-License-Identifier: Apache-2.0
/** cuda/tile_mask.h against common/mask.h and brute force: who sees whom, parts of a range, places in a tile. */
#include "cuda/tile_mask.h"

#include <set>
#include <vector>

#include "common/mask.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

constexpr int32_t kFar = 0x3fffffff;

Mask wide_mask(int32_t left, int32_t right, bool bottom_right) {
  Mask mask;
  mask.window_left = left;
  mask.window_right = right;
  mask.bottom_right = bottom_right;
  return mask;
}

template <typename Visit>
void for_each_small(const Visit& visit) {
  for (const int32_t left : {0, 1, 3, kFar}) {
    for (const int32_t right : {0, 1, 3, kFar}) {
      for (const bool bottom_right : {false, true}) {
        for (int32_t q = 0; q <= 6; q++) {
          for (int32_t k = 0; k <= 6; k++) {
            const Mask mask = wide_mask(left, right, bottom_right);
            visit(mask, block_of(mask, 0, q, k), cuda::tile_mask(q, k, left, right, bottom_right));
          }
        }
      }
    }
  }
}

/** Whether a range holds what an interval does; empty ones may differ. */
bool same(const cuda::Range& range, const Interval& interval) {
  if (range.begin >= range.end) return interval.begin >= interval.end;
  return range.begin == interval.begin && range.end == interval.end;
}

TFXF_TEST(tile_mask_cells, "cuda/tile_mask/cells are those of common/mask.h") {
  for_each_small([](const Mask& mask, const MaskBlock& block, const cuda::TileMask& tile) {
    for (int32_t i = 0; i < tile.q_length; i++) {
      for (int32_t j = 0; j < 9; j++) TFXF_CHECK(cuda::visible(tile, i, j) == visible(mask, block, i, j));
    }
  });
}

TFXF_TEST(tile_mask_ranges, "cuda/tile_mask/ranges and whole tiles are those of common/mask.h") {
  for_each_small([](const Mask& mask, const MaskBlock& block, const cuda::TileMask& tile) {
    for (int32_t a = 0; a < 6; a++) {
      for (int32_t b = a + 1; b <= 6; b++) {
        if (b <= tile.q_length) TFXF_CHECK(same(cuda::visible_keys(tile, a, b), visible_keys(mask, block, a, b)));
        if (b <= tile.k_length) TFXF_CHECK(same(cuda::visible_queries(tile, a, b), visible_queries(mask, block, a, b)));
        for (int32_t j = 0; j < 8; j++) {
          TFXF_CHECK(cuda::all_visible(tile, a, b, j, j + 2) == all_visible(mask, block, a, b, j, j + 2));
        }
      }
    }
  });
}

TFXF_TEST(tile_mask_long, "cuda/tile_mask/the longest tensors overflow nothing") {
  for (const bool bottom_right : {false, true}) {
    for (const int32_t q : {1, kFar}) {
      for (const int32_t k : {1, kFar}) {
        for (const int32_t side : {0, kFar}) {
          const cuda::TileMask tile = cuda::tile_mask(q, k, side, side, bottom_right);
          const Mask mask = wide_mask(side, side, bottom_right);
          const MaskBlock block = block_of(mask, 0, q, k);
          TFXF_CHECK(same(cuda::visible_keys(tile, 0, q), visible_keys(mask, block, 0, q)));
          TFXF_CHECK(same(cuda::visible_keys(tile, q - 1, q), visible_keys(mask, block, q - 1, q)));
          TFXF_CHECK(same(cuda::visible_queries(tile, 0, k), visible_queries(mask, block, 0, k)));
          TFXF_CHECK(cuda::visible(tile, 0, k - 1) == visible(mask, block, 0, k - 1));
          TFXF_CHECK(cuda::visible(tile, q - 1, 0) == visible(mask, block, q - 1, 0));
        }
      }
    }
  }
}

TFXF_TEST(split_parts, "cuda/tile_mask/the parts of a range are the range, each from where a tile begins") {
  for (const int32_t step : {1, 4, 48, 64}) {
    for (const int32_t begin : {0, 1, 47, 64, 130}) {
      for (const int32_t length : {0, 1, 48, 64, 65, 500}) {
        for (const int32_t parts : {1, 2, 3, 7, 64}) {
          int32_t at = begin;
          for (int32_t n = 0; n < parts; n++) {
            const cuda::Range part = cuda::part_of({begin, begin + length}, step, n, parts);
            if (part.begin >= part.end) continue;
            TFXF_CHECK(part.begin == at);
            TFXF_CHECK(part.begin == begin || part.begin % step == 0);
            at = part.end;
          }
          TFXF_CHECK(at == begin + length);
        }
      }
    }
  }
}

TFXF_TEST(first_above, "cuda/tile_mask/the first number above another is found in every list that never falls") {
  for (int32_t bits = 0; bits < 128; bits++) {  // seven steps of 0 or 2
    std::vector<int32_t> list;
    int32_t last = 1;
    for (int n = 0; n < 7; n++) list.push_back(last += 2 * (bits >> n & 1));
    for (int32_t count = 0; count <= 7; count++) {
      for (int32_t value = 0; value <= 16; value++) {
        int32_t want = 0;
        while (want < count && list[static_cast<size_t>(want)] <= value) want++;
        TFXF_CHECK(cuda::first_above(list.data(), count, value) == want);
      }
    }
  }
}

TFXF_TEST(swizzle, "cuda/tile_mask/a chunk has one place, and 8 rows of a chunk lie in 8 sets of banks") {
  for (const int32_t chunks : {8, 16, 32, 64}) {
    std::set<int32_t> places;
    for (int32_t row = 0; row < 64; row++) {
      for (int32_t chunk = 0; chunk < chunks; chunk++) {
        const int32_t place = cuda::swizzled(row, chunk, chunks);
        TFXF_CHECK(place >= 0 && place < 64 * chunks);
        places.insert(place);
      }
    }
    TFXF_CHECK(places.size() == static_cast<size_t>(64 * chunks));
    for (int32_t row = 0; row < 64; row += 8) {
      for (int32_t chunk = 0; chunk < chunks; chunk++) {
        std::set<int32_t> banks;
        for (int32_t r = row; r < row + 8; r++) banks.insert(cuda::swizzled(r, chunk, chunks) % 8);
        TFXF_CHECK(banks.size() == 8);
      }
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
