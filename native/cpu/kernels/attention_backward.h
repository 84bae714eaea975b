// SPDX-License-Identifier: Apache-2.0
/** Gradients of attention: see attention_backward.cc. */
#pragma once

#include "cpu/attention.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

int64_t attention_backward_workspace(const AttentionBackwardArgs& args, int workers);
void attention_backward(const AttentionBackwardArgs& args, const Parallel& parallel);

}  // namespace TFXF_ISA
}  // namespace tfxf
