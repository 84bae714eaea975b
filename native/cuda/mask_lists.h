// SPDX-License-Identifier: Apache-2.0
/** The lists of a mask with blocks, gathered on the host and brought to the device in one copy; and its lists of tiles. */
#pragma once

#include "cuda/driver.h"
#include "cuda/params.h"
#include "cuda/workspace.h"
#include "cpu/attention.h"

namespace tfxf {
namespace cuda {

/** What is counted of a mask and a call's sizes. */
struct MaskSizes {
  int64_t longest_queries, longest_keys;  // of a block
  int64_t all_keys;                       // of all blocks
  int64_t page_table;                     // pages that are read
};
MaskSizes mask_sizes(const Mask& mask, const AttentionShape& shape);

/** Tiles of `rows` rows that the blocks of queries make, `pack` rows to a query; or the one sequence of a dense call. */
int64_t count_query_tiles(const Mask& mask, const AttentionShape& shape, int64_t rows, int64_t pack);
/** The same of the keys of the blocks. */
int64_t count_key_tiles(const Mask& mask, int64_t rows);

/** Place for the lists in the workspace; `tiles` as counted above. Nothing for a dense mask. */
struct MaskLists {
  int32_t *lists, *query_tiles, *key_tiles;
};
MaskLists take_mask_lists(Workspace& workspace, const Mask& mask, const MaskSizes& sizes, int64_t query_tiles,
                          int64_t key_tiles);

struct TileCuts {
  int64_t query_rows, pack;
  int64_t key_rows;  // 0: no tiles of keys
};

/** The parameters of a mask, its lists copied to the device. `tiles` are those of queries. */
bool send_mask(Device& device, const Mask& mask, const AttentionShape& shape, const MaskLists& lists,
               const TileCuts& cuts, MaskParams& params, Error& error);

}  // namespace cuda
}  // namespace tfxf
