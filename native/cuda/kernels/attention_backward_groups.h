// SPDX-License-Identifier: Apache-2.0
/**
 * What the backward passes of warpgroups have in common: as attention_backward_rows.h, without softcap, bias and dropout.
 * A weight is one multiply-add and an exponential of base 2: p = exp2(dot * unit - base), unit = scale * log2 e.
 */
#pragma once

#include "cuda/kernels/attention_backward_rows.h"
#include "cuda/kernels/group_products.h"

namespace tfxf {
namespace cuda {

/** logSumExp in units of log2 e. */
TFXF_DEVICE float base_of(const BackwardQuery& query) { return query.log_sum_exp * kLog2E; }

TFXF_DEVICE float weight_of(float dot, float unit, float base) { return power_of_two(multiply_add(dot, unit, -base)); }

TFXF_DEVICE void prefetch_maps(const AttentionBackwardMapsParams& maps) {
  prefetch_map(maps.query);
  prefetch_map(maps.doutput);
  prefetch_map(maps.key);
  prefetch_map(maps.value);
}

}  // namespace cuda
}  // namespace tfxf
