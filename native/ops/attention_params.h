// SPDX-License-Identifier: Apache-2.0
/**
 * The numbers of an attention call, the last input of its ops: int32, on the host.
 *
 *     0 window_left  1 window_right  2 bottom_right  3 seed  4 drop_threshold  5 keep_scale (float bits)
 *     6 scale (bits)  7 softcap (bits)  8 num_blocks  9 page_size  10 length of the page table
 *     with blocks: q_start [num_blocks + 1], k_start [num_blocks], k_length [num_blocks]
 *     with pages:  page_start [num_blocks], page_table [length]
 *
 * They are no attributes because TensorFlow keeps a kernel for each set of attributes.
 */
#pragma once

#include "cpu/attention.h"
#include "ops/op_call.h"

namespace tfxf {

/**
 * Fills mask, scale, softcap and dropout of `args`, whose shape is there already. Fails unless the
 * numbers make sense and every row that a kernel would read by them is inside of the tensors. The mask
 * points into `params`.
 */
void read_attention_params(OpCall& call, const Tensor& params, AttentionArgs& args);

}  // namespace tfxf
