// SPDX-License-Identifier: Apache-2.0
/**
 * mask_lists.h. The lists lie in this order: q_start, k_start, k_length, page_start, key_offset, keys_to, keys_from,
 * page_table.
 */
#include "cuda/mask_lists.h"

#include <stdlib.h>

namespace tfxf {
namespace cuda {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t pages_of(const Mask& mask, int64_t b) { return ceil_div(mask.k_length[b], mask.page_size); }

int64_t list_length(const Mask& mask, const MaskSizes& sizes) {
  return mask.num_blocks > 0 ? 7 * mask.num_blocks + 1 + sizes.page_table : 0;
}

/** Memory that is given back. */
struct HostList {
  int32_t* at;
  explicit HostList(int64_t count) : at(static_cast<int32_t*>(malloc(static_cast<size_t>(count) * sizeof(int32_t)))) {}
  ~HostList() { free(at); }
  HostList(const HostList&) = delete;
  HostList& operator=(const HostList&) = delete;
};

void write_lists(int32_t* to, const Mask& mask, const MaskSizes& sizes) {
  const int64_t blocks = mask.num_blocks;
  int32_t* const k_start = to + blocks + 1;
  int32_t* const k_length = k_start + blocks;
  int32_t* const page_start = k_length + blocks;
  int32_t* const key_offset = page_start + blocks;
  int32_t* const keys_to = key_offset + blocks;
  int32_t* const keys_from = keys_to + blocks;
  int32_t* const page_table = keys_from + blocks;
  int64_t keys = 0;
  for (int64_t b = 0; b <= blocks; b++) to[b] = mask.q_start[b];
  for (int64_t b = 0; b < blocks; b++) {
    k_start[b] = mask.k_start[b];
    k_length[b] = mask.k_length[b];
    page_start[b] = mask.page_size > 0 ? mask.page_start[b] : 0;
    key_offset[b] = static_cast<int32_t>(keys);
    keys += mask.k_length[b];
  }
  int32_t end = 0, begin = INT32_MAX;
  for (int64_t b = 0; b < blocks; b++) {
    if (k_length[b] > 0 && k_start[b] + k_length[b] > end) end = k_start[b] + k_length[b];
    keys_to[b] = end;
  }
  for (int64_t b = blocks - 1; b >= 0; b--) {
    if (k_length[b] > 0 && k_start[b] < begin) begin = k_start[b];
    keys_from[b] = begin;
  }
  for (int64_t n = 0; n < sizes.page_table; n++) page_table[n] = mask.page_table[n];
}

/** Pairs (block, first row). */
template <typename LengthOf>
void write_tiles(int32_t* to, const Mask& mask, int64_t rows, const LengthOf& length_of) {
  for (int64_t b = 0; b < mask.num_blocks; b++) {
    const int64_t length = length_of(b);
    for (int64_t first = 0; first < length; first += rows) {
      *to++ = static_cast<int32_t>(b);
      *to++ = static_cast<int32_t>(first);
    }
  }
}

int64_t queries_of(const Mask& mask, int64_t b) { return mask.q_start[b + 1] - mask.q_start[b]; }

}  // namespace

MaskSizes mask_sizes(const Mask& mask, const AttentionShape& shape) {
  MaskSizes sizes = {shape.queries, shape.keys, shape.keys, 0};
  if (mask.num_blocks == 0) return sizes;
  sizes = {0, 0, 0, 0};
  for (int64_t b = 0; b < mask.num_blocks; b++) {
    const int64_t queries = queries_of(mask, b), keys = mask.k_length[b];
    if (queries > sizes.longest_queries) sizes.longest_queries = queries;
    if (keys > sizes.longest_keys) sizes.longest_keys = keys;
    sizes.all_keys += keys;
    if (mask.page_size == 0) continue;
    const int64_t end = mask.page_start[b] + pages_of(mask, b);
    if (end > sizes.page_table) sizes.page_table = end;
  }
  return sizes;
}

int64_t count_query_tiles(const Mask& mask, const AttentionShape& shape, int64_t rows, int64_t pack) {
  if (mask.num_blocks == 0) return ceil_div(shape.queries * pack, rows);
  int64_t tiles = 0;
  for (int64_t b = 0; b < mask.num_blocks; b++) tiles += ceil_div(queries_of(mask, b) * pack, rows);
  return tiles;
}

int64_t count_key_tiles(const Mask& mask, int64_t rows) {
  int64_t tiles = 0;
  for (int64_t b = 0; b < mask.num_blocks; b++) tiles += ceil_div(mask.k_length[b], rows);
  return tiles;
}

MaskLists take_mask_lists(Workspace& workspace, const Mask& mask, const MaskSizes& sizes, int64_t query_tiles,
                          int64_t key_tiles) {
  if (mask.num_blocks == 0) return {nullptr, nullptr, nullptr};
  int32_t* const lists = workspace.take<int32_t>(list_length(mask, sizes));
  int32_t* const queries = workspace.take<int32_t>(2 * query_tiles);
  return {lists, queries, workspace.take<int32_t>(2 * key_tiles)};
}

bool send_mask(Device& device, const Mask& mask, const AttentionShape& shape, const MaskLists& lists,
               const TileCuts& cuts, MaskParams& params, Error& error) {
  params = {};
  params.window_left = static_cast<int32_t>(mask.window_left);
  params.window_right = static_cast<int32_t>(mask.window_right);
  params.bottom_right = mask.bottom_right ? 1 : 0;
  if (mask.num_blocks == 0) return true;
  const MaskSizes sizes = mask_sizes(mask, shape);
  const int64_t length = list_length(mask, sizes);
  const int64_t query_tiles = count_query_tiles(mask, shape, cuts.query_rows, cuts.pack);
  const int64_t key_tiles = cuts.key_rows > 0 ? count_key_tiles(mask, cuts.key_rows) : 0;
  const HostList host(length + 2 * query_tiles + 2 * key_tiles);
  if (host.at == nullptr) return error.fail("there is no memory for the lists of the mask");
  int32_t *const queries = host.at + length, *const keys = queries + 2 * query_tiles;
  write_lists(host.at, mask, sizes);
  write_tiles(queries, mask, cuts.query_rows, [&](int64_t b) { return queries_of(mask, b) * cuts.pack; });
  if (cuts.key_rows > 0) write_tiles(keys, mask, cuts.key_rows, [&](int64_t b) { return int64_t{mask.k_length[b]}; });
  const int64_t blocks = mask.num_blocks;
  params.num_blocks = static_cast<int32_t>(blocks);
  params.page_size = static_cast<int32_t>(mask.page_size);
  params.q_start = lists.lists;
  params.k_start = params.q_start + blocks + 1;
  params.k_length = params.k_start + blocks;
  params.page_start = params.k_length + blocks;
  params.key_offset = params.page_start + blocks;
  params.keys_to = params.key_offset + blocks;
  params.keys_from = params.keys_to + blocks;
  params.page_table = params.keys_from + blocks;
  params.tiles = lists.query_tiles;
  return copy_to_device(device, lists.lists, host.at, length * 4, error) &&
         copy_to_device(device, lists.query_tiles, queries, query_tiles * 8, error) &&
         copy_to_device(device, lists.key_tiles, keys, key_tiles * 8, error);
}

}  // namespace cuda
}  // namespace tfxf
