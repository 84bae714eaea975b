// SPDX-License-Identifier: Apache-2.0
/** Random attention problems. */
#pragma once

#include "tests/attention_problem.h"
#include "tests/random.h"

namespace tfxf {
namespace test {

/** What a drawn problem must have. */
struct DrawOptions {
  /** Multiply-adds of the scores and of their product with the values, at most. */
  int64_t work = 3000000;
  /** Some key is hidden from some query, there is no dropout, and no tensor is empty. */
  bool hides_keys = false;
  /** Aligned bfloat16 of more than 16 queries, without bias, softcap, dropout or pages: also where --plain asks for it. */
  bool plain = false;
  /** bfloat16 of at most 15 queries, whose rows are whole tiles: what kernels decode on tiles. */
  bool decoding = false;
};

/** Any sizes, masks, biases, options and storage; the same for the same seed. */
AttentionProblem draw_problem(uint64_t seed, const DrawOptions& options = {});

}  // namespace test
}  // namespace tfxf
