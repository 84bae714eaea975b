// SPDX-License-Identifier: Apache-2.0
/** The one table of the CUDA tests, instead of tables.cc. */
#include "tests/tables.h"

#include <cstdlib>

#include "cuda/launch.h"
#include "tests/cuda/cuda_table.h"

namespace tfxf {
namespace test {

const std::vector<const KernelTable*>& tables() {
  static const std::vector<const KernelTable*> all = {&cuda_table(test_device())};
  return all;
}

int64_t most_head_dim() { return cuda::kMostDim; }

bool round_doutput() { return true; }

bool keep_infinities() { return false; }

int64_t most_work() { return getenv("TFXF_LIBCUDA") != nullptr ? 2000000 : INT64_MAX; }

}  // namespace test
}  // namespace tfxf
