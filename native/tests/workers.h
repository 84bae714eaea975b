// SPDX-License-Identifier: Apache-2.0
/** Two ways to run a kernel's items, both as cpu/parallel.h allows. */
#pragma once

#include "cpu/parallel.h"

namespace tfxf {
namespace test {

/** One thread that takes the items in order, each in the name of another worker: what one item leaves in a
 * worker's memory meets the next item in any combination, the same in each run. */
Parallel in_turns(int workers);

/** As many threads as workers; which takes an item is left to chance. */
Parallel in_threads(int workers);

}  // namespace test
}  // namespace tfxf
