// SPDX-License-Identifier: Apache-2.0
/** Workspace of the backward norm: [blocks, dgamma and dbeta, columns] partial sums in float32. */
#include "cpu/norm.h"
#include "cpu/norm_blocks.h"

namespace tfxf {

int64_t norm_backward_workspace(const NormBackwardArgs& args) {
  const int64_t blocks = norm_blocks(args.rows).count;
  const int64_t sums = (args.dgamma != nullptr ? 1 : 0) + (args.dbeta != nullptr ? 1 : 0);
  if (blocks == 1) return 0;
  return blocks * sums * norm_partial_stride(args.columns) * 4;
}

}  // namespace tfxf
