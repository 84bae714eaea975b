// SPDX-License-Identifier: Apache-2.0
/** What the kernels know of this machine's caches. */
#pragma once

#include <cstdint>

namespace tfxf {

/**
 * Outputs of at least this size are written past the caches: whoever reads them next would not find them there. 8 MiB, or
 * a sixteenth of the last cache where that is more. Of a cache that a cloud's machines share none has more than a small part.
 */
int64_t streamed_bytes();

/** For tests: sets the size, which is found anew after 0. Not while a kernel runs. */
void set_streamed_bytes(int64_t bytes);

}  // namespace tfxf
