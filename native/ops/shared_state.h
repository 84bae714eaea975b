// SPDX-License-Identifier: Apache-2.0
/**
 * What all copies of this library in a process share, though each has variables of its own: the state of the copy that was
 * loaded first, which the others find by its exported name. Of zeroed memory, so that nobody need construct it.
 */
#pragma once

#include "cpu/threads.h"

namespace tfxf {

struct SharedState {
  /** Held while somebody asks for ops and registers them. */
  Lock lock;
  /** Of the copy whose kernels TensorFlow runs; null before there is one. */
  const char* isa;
  int threads;
};

SharedState& shared_state();

}  // namespace tfxf
