// SPDX-License-Identifier: Apache-2.0
/** What the launches of attention, forward and backward, have in common. */
#pragma once

#include "cpu/attention.h"
#include "cuda/driver.h"
#include "cuda/mask_lists.h"
#include "cuda/params.h"

namespace tfxf {
namespace cuda {

/** Whether the kernels can run this; else the error names the argument. */
bool check_attention(const AttentionArgs& args, Error& error);

/** 0, 1, 2: 64, 128 or 256 columns hold both head dims. */
int dim_index(const AttentionShape& shape);

HeadsParams heads_params(const HeadsView& view, int64_t dim);

/** All but the mask, whose lists are sent apart, and what belongs to the tiles of one kernel. */
AttentionParams attention_params(const AttentionArgs& args);

}  // namespace cuda
}  // namespace tfxf
