// SPDX-License-Identifier: Apache-2.0
/** The tables of kernels under test. */
#pragma once

#include <vector>

#include "cpu/kernel_table.h"

namespace tfxf {
namespace test {

/** Those of this build that the processor runs, or the one of --isa. */
const std::vector<const KernelTable*>& tables();

/** The largest head dim that all of them take. */
int64_t most_head_dim();

/** Whether they round doutput to the dtype of query, so that drawn ones should be of that dtype. */
bool round_doutput();

/** Whether products of float32 keep infinities, and do not make NaN of them. */
bool keep_infinities();

/** Multiply-adds of the largest golden case that is worth running on them. */
int64_t most_work();

}  // namespace test
}  // namespace tfxf
