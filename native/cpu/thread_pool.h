// SPDX-License-Identifier: Apache-2.0
/**
 * The threads that kernels share: one pool for a process, made when it is first asked for.
 *
 * Its size is that of TensorFlow's own pool: TF_NUM_INTRAOP_THREADS if that is a positive number, else
 * the number of processors that the process may run on. The caller of a region is one of the workers.
 */
#pragma once

#include "cpu/parallel.h"

namespace tfxf {

/**
 * The pool, for any thread. One region runs on it at a time; who comes while it is busy, or calls it
 * from inside of a region, runs the items alone.
 */
const Parallel& thread_pool();

}  // namespace tfxf
