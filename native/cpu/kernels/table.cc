// SPDX-License-Identifier: Apache-2.0
/** The kernels of this instruction set, as cpu/kernels.cc finds them. */
#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/attention_forward.h"
#include "cpu/kernels/norm.h"

#define TFXF_QUOTE(name) #name
#define TFXF_NAME(name) TFXF_QUOTE(name)

namespace tfxf {
namespace TFXF_ISA {

const KernelTable& table() {
  static const KernelTable kernels = {
      TFXF_NAME(TFXF_ISA),
      norm_forward,
      norm_backward,
      pack_bfloat16,
      unpack_bfloat16,
      attention_forward_workspace,
      attention_forward,
      attention_backward_workspace,
      attention_backward,
  };
  return kernels;
}

}  // namespace TFXF_ISA
}  // namespace tfxf
