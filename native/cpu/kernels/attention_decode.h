// SPDX-License-Identifier: Apache-2.0
/** Attention forward for few queries against many keys, as in step-by-step generation: see attention_decode.cc. */
#pragma once

#include "cpu/attention.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace tfxf {
namespace TFXF_ISA {

/** Whether every block has so few queries that lanes of queries would stay empty. */
bool is_decoding(const AttentionArgs& args);
int64_t decode_workspace(const AttentionArgs& args, int workers);
void decode_forward(const AttentionForwardArgs& args, const Parallel& parallel);

}  // namespace TFXF_ISA
}  // namespace tfxf
