// SPDX-License-Identifier: Apache-2.0
/** The tables of kernels under test. */
#pragma once

#include <vector>

#include "cpu/kernel_table.h"

namespace tfxf {
namespace test {

/** Those of this build that the processor runs, or the one of --isa. */
const std::vector<const KernelTable*>& tables();

}  // namespace test
}  // namespace tfxf
