// SPDX-License-Identifier: Apache-2.0
/** What the launches of attention, forward and backward, have in common: parameters, and which calls warpgroups serve. */
#pragma once

#include "cpu/attention.h"
#include "cuda/driver.h"
#include "cuda/mask_lists.h"
#include "cuda/params.h"
#include "cuda/tensor_maps.h"

namespace tfxf {
namespace cuda {

/** Whether the kernels can run this; else the error names the argument. */
bool check_attention(const AttentionArgs& args, Error& error);

/** 0, 1, 2: 64, 128 or 256 columns hold both head dims. */
int dim_index(const AttentionShape& shape);

HeadsParams heads_params(const HeadsView& view, int64_t dim);

/** All but the mask, whose lists are sent apart, and what belongs to the tiles of one kernel. */
AttentionParams attention_params(const AttentionArgs& args);

/** In a sequence; more would leave most rows of a tile of the kernels of warpgroups empty. */
constexpr int64_t kFewQueries = 16;

/** Neither bias nor softcap nor dropout, and a highest score that is that of the highest dot product. */
bool is_plain(const AttentionArgs& args);

/** Whether kernels of warpgroups can serve the call: plain, not paged, of tensors that the copy engine can read. */
bool fits_wgmma(const Device& device, const AttentionArgs& args);

/** Among as many blocks as run at once, one for each multiprocessor. */
PlacesParams share_out(const Device& device, int64_t places);

ViewSizes query_sizes(const AttentionShape& shape, int64_t dim);
ViewSizes key_sizes(const AttentionShape& shape, int64_t dim);

/**
 * Of `heads`, how many begin with their longest tiles together (attention_rows.h, query_tiles.h): where a mask makes
 * tiles of different length, as many of `bytes` each as lie in the L2 cache together, `step` at least.
 */
int64_t heads_together(const AttentionArgs& args, int64_t heads, int64_t step, int64_t bytes);

}  // namespace cuda
}  // namespace tfxf
