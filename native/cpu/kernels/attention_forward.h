// SPDX-License-Identifier: Apache-2.0
/** Attention forward: see attention_forward.cc (many queries) and attention_decode.cc (few). */
#pragma once

#include "cpu/attention.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

int64_t attention_forward_workspace(const AttentionArgs& args, int workers);
void attention_forward(const AttentionForwardArgs& args, const Parallel& parallel);

}  // namespace TFXF_ISA
}  // namespace tfxf
