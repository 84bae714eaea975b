// SPDX-License-Identifier: Apache-2.0
/** Norm and bfloat16 kernels of one instruction set; see cpu/norm.h for what they compute. */
#pragma once

#include "cpu/norm.h"
#include "cpu/parallel.h"

namespace tfxf {
namespace TFXF_ISA {

void norm_forward(const NormForwardArgs& args, const Parallel& parallel);
void norm_backward(const NormBackwardArgs& args, const Parallel& parallel);
void pack_bfloat16(const ConvertArgs& args, const Parallel& parallel);
void unpack_bfloat16(const ConvertArgs& args, const Parallel& parallel);

}  // namespace TFXF_ISA
}  // namespace tfxf
