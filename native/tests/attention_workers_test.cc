// SPDX-License-Identifier: Apache-2.0
/** Attention gives the same bits for any number of workers, in turns and in threads, and when it runs again. */
#include "tests/attention_call.h"
#include "tests/attention_draw.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

void expect_same(const AttentionProblem& p, const std::string& who, const ForwardResult& got,
                 const ForwardResult& want) {
  expect_same_bits(who + " output", got.output, want.output, output_shape(p));
  expect_same_bits(who + " logSumExp", got.log_sum_exp, want.log_sum_exp, row_shape(p));
}

void expect_same(const AttentionProblem& p, const std::string& who, const GradientResult& got,
                 const GradientResult& want) {
  expect_same_bits(who + " dquery", got.query, want.query, query_shape(p));
  expect_same_bits(who + " dkey", got.key, want.key, key_shape(p));
  expect_same_bits(who + " dvalue", got.value, want.value, value_shape(p));
  expect_same_bits(who + " dbias", got.bias, want.bias, p.bias.shape);
  expect_same_bits(who + " dsink", got.sink, want.sink, {p.shape.heads});
}

void check_workers(uint64_t seed, bool backward, const DrawOptions& draw_options = {}) {
  const AttentionProblem p = draw_problem(seed * 104729 + 3, draw_options);
  const AttentionMemory memory(p);
  for (const KernelTable* table : tables()) {
    const ForwardResult forward = memory.forward(*table, in_turns(1));
    GradientResult gradients;
    if (backward) gradients = memory.backward(*table, in_turns(1), forward);
    for (const int workers : {1, 2, 3, 7}) {
      for (const bool threaded : {false, true}) {
        const Parallel parallel = threaded ? in_threads(workers) : in_turns(workers);
        const std::string who = format("%s, %d workers%s, %s:", table->name, workers,
                                       threaded ? " in threads" : "", describe(p).c_str());
        if (backward) {
          expect_same(p, who, memory.backward(*table, parallel, forward), gradients);
        } else {
          expect_same(p, who, memory.forward(*table, parallel), forward);
        }
      }
    }
  }
}

TFXF_SUITE(attention_workers) {
  for (int n = 0; n < rounds_or(24); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    const std::string name = "seed=" + std::to_string(seed);
    add_test("workers/attention/forward/" + name, [seed] { check_workers(seed, false); });
    add_test("workers/attention/backward/" + name, [seed] { check_workers(seed, true); });
    DrawOptions decoding;
    decoding.decoding = true;
    add_test("workers/attention/decoding/" + name, [=] { check_workers(seed, false, decoding); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
