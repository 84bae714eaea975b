// SPDX-License-Identifier: Apache-2.0
/**
 * The one mask: src/spec/mask.ts in C++.
 *
 *     visible(i, j) = same block, 0 <= j < k_length, -window_left <= j - i - shift <= window_right
 *     shift = align is bottomRight ? k_length - q_length : 0
 *
 * i and j count from the start of the block. For a query row this is one interval of keys, and for a
 * key one interval of queries; kernels visit the tiles of that interval and no others.
 */
#pragma once

#include <cstdint>

namespace tfxf {

/** A window side without limit; sums with any tensor length still fit in an int32. */
constexpr int64_t kUnbounded = 0x3fffffff;

/** A MaskPlan. Points into the caller's memory; nothing here is owned. */
struct Mask {
  int64_t window_left = kUnbounded;
  int64_t window_right = kUnbounded;
  bool bottom_right = false;
  /** 0: dense, that is one block per batch item that holds all queries and all keys. */
  int64_t num_blocks = 0;
  const int32_t* q_start = nullptr;   // [num_blocks + 1]
  const int32_t* k_start = nullptr;   // [num_blocks]
  const int32_t* k_length = nullptr;  // [num_blocks]
  /** 0: not paged. Else logical key j of block b is row page_table[page_start[b] + j / page_size] * page_size + j % page_size. */
  int64_t page_size = 0;
  const int32_t* page_start = nullptr;  // [num_blocks]
  const int32_t* page_table = nullptr;
};

/** One block: its lengths and places. */
struct MaskBlock {
  int64_t q_start, q_length;
  int64_t k_start, k_length;
  int64_t shift;              // of the diagonal, to the right
  const int32_t* pages;       // of this block, or null
  int64_t page_size;
};

/** A half-open range; empty when end <= begin. */
struct Interval {
  int64_t begin, end;
};

static inline int64_t block_count(const Mask& mask) {
  return mask.num_blocks > 0 ? mask.num_blocks : 1;
}

/** Block `b` of a call of these sizes; b is 0 for a dense mask. */
static inline MaskBlock block_of(const Mask& mask, int64_t b, int64_t queries, int64_t keys) {
  MaskBlock block = {0, queries, 0, keys, 0, nullptr, mask.page_size};
  if (mask.num_blocks > 0) {
    block.q_start = mask.q_start[b];
    block.q_length = mask.q_start[b + 1] - mask.q_start[b];
    block.k_start = mask.k_start[b];
    block.k_length = mask.k_length[b];
    if (mask.page_size > 0) block.pages = mask.page_table + mask.page_start[b];
  }
  block.shift = mask.bottom_right ? block.k_length - block.q_length : 0;
  return block;
}

static inline bool visible(const Mask& mask, const MaskBlock& block, int64_t i, int64_t j) {
  const int64_t distance = j - i - block.shift;
  return j >= 0 && j < block.k_length && -mask.window_left <= distance &&
         distance <= mask.window_right;
}

/** The keys that the queries i0 <= i < i1 see. */
static inline Interval visible_keys(const Mask& mask, const MaskBlock& block, int64_t i0, int64_t i1) {
  const int64_t begin = i0 + block.shift - mask.window_left;
  const int64_t end = i1 + block.shift + mask.window_right;
  return {begin > 0 ? begin : 0, end < block.k_length ? end : block.k_length};
}

/** The queries that see any of the keys j0 <= j < j1. */
static inline Interval visible_queries(const Mask& mask, const MaskBlock& block, int64_t j0, int64_t j1) {
  const int64_t begin = j0 - block.shift - mask.window_right;
  const int64_t end = j1 - block.shift + mask.window_left;
  return {begin > 0 ? begin : 0, end < block.q_length ? end : block.q_length};
}

/** Whether every query i0 <= i < i1 sees every key j0 <= j < j1. */
static inline bool all_visible(const Mask& mask, const MaskBlock& block, int64_t i0, int64_t i1,
                               int64_t j0, int64_t j1) {
  return j0 >= 0 && j1 <= block.k_length && i1 <= block.q_length &&
         -mask.window_left <= j0 - (i1 - 1) - block.shift &&
         (j1 - 1) - i0 - block.shift <= mask.window_right;
}

/** The row of the key tensor that holds key j of a block. */
static inline int64_t key_row(const MaskBlock& block, int64_t j) {
  if (block.pages == nullptr) return block.k_start + j;
  return block.pages[j / block.page_size] * block.page_size + j % block.page_size;
}

}  // namespace tfxf
