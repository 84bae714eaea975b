// SPDX-License-Identifier: Apache-2.0
/**
 * Random problems on every table against the float64 reference, forward and then backward from the table's own
 * output. The seed is in each name: run one again with --filter, or others with --seed and --rounds.
 */
#include <algorithm>
#include <cmath>

#include "tests/attention_call.h"
#include "tests/attention_draw.h"
#include "tests/attention_reference.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

/** Computed when first asked for; the tables share it. */
template <typename Value>
class Later {
 public:
  explicit Later(std::function<Value()> make) : make_(std::move(make)) {}
  const Value& get() {
    if (!made_) value_ = make_();
    made_ = true;
    return value_;
  }

 private:
  std::function<Value()> make_;
  Value value_;
  bool made_ = false;
};

struct Naive {
  Later<AttentionForward> forward;
  Later<AttentionGradients> gradients;

  explicit Naive(const AttentionProblem& p)
      : forward([&p] { return reference_forward(p, Arithmetic::kNaive); }),
        gradients([&p] { return reference_gradients(p, Arithmetic::kNaive); }) {}
};

void check_forward(const AttentionProblem& p, const std::string& who, const ForwardResult& got,
                   const AttentionForward& want, Naive& naive) {
  expect_close(who + " output", got.output, want.output, output_shape(p),
               {false, p.output_dtype, 1.0, [&] { return naive.forward.get().output; }});
  expect_close(who + " logSumExp", got.log_sum_exp, want.log_sum_exp, row_shape(p),
               {false, DType::kFloat32, 1.0, [&] { return naive.forward.get().log_sum_exp; }});
}

/** A gradient that sums over `terms` numbers with independent errors has an error of about the root of that. */
double unit_of(const AttentionProblem& p, int64_t terms) {
  return std::max(1.0, std::sqrt(static_cast<double>(terms)) / 16.0) / (1.0 - p.dropout);
}

void check_gradients(const AttentionProblem& p, const std::string& who, const GradientResult& got,
                     const ForwardResult& forward, Naive& naive) {
  const AttentionGradients want = reference_gradients(p, Arithmetic::kExact, &forward.output);
  const int64_t cells = size_of(row_shape(p)) * p.shape.keys;
  const int64_t per_bias = cells / std::max<int64_t>(1, size_of(p.bias.shape));
  const int64_t per_key = p.shape.queries * p.shape.heads / p.shape.kv_heads;
  const auto check = [&](const char* name, std::vector<float> GradientResult::*values,
                         std::vector<double> AttentionGradients::*wanted, const Shape& shape, int64_t terms) {
    if ((got.*values).empty()) return;
    expect_close(who + " gradient of " + name, got.*values, want.*wanted, shape,
                 {true, p.dtype, unit_of(p, terms), [&, wanted] { return naive.gradients.get().*wanted; }});
  };
  using R = GradientResult;
  using A = AttentionGradients;
  check("query", &R::query, &A::query, query_shape(p), p.shape.keys);
  check("key", &R::key, &A::key, key_shape(p), per_key);
  check("value", &R::value, &A::value, value_shape(p), per_key);
  check("bias", &R::bias, &A::bias, p.bias.shape, per_bias);
  check("sink", &R::sink, &A::sink, {p.shape.heads}, p.shape.batch * p.shape.queries);
}

enum class Part { kForward, kBackward };

void check_problem(uint64_t seed, Part part, const DrawOptions& draw_options = {}) {
  const AttentionProblem p = draw_problem(seed, draw_options);
  const AttentionMemory memory(p);
  const AttentionForward want = reference_forward(p);
  Naive naive(p);
  const int workers = static_cast<int>(1 + seed % 4);
  for (const KernelTable* table : tables()) {
    const std::string who = std::string(table->name) + ", " + describe(p) + ":";
    const ForwardResult forward = memory.forward(*table, in_turns(workers));
    if (part == Part::kForward) {
      check_forward(p, who, forward, want, naive);
    } else {
      check_gradients(p, who, memory.backward(*table, in_turns(workers), forward), forward, naive);
    }
  }
}

TFXF_SUITE(attention_fuzz_decoding) {
  for (int n = 0; n < rounds_or(200); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    DrawOptions draw_options;
    draw_options.decoding = true;
    add_test("fuzz/attention/forward/decoding/seed=" + std::to_string(seed),
             [=] { check_problem(seed, Part::kForward, draw_options); });
  }
}

TFXF_SUITE(attention_fuzz) {
  for (int n = 0; n < rounds_or(400); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    const std::string name = "seed=" + std::to_string(seed);
    add_test("fuzz/attention/forward/" + name, [seed] { check_problem(seed, Part::kForward); });
    add_test("fuzz/attention/backward/" + name, [seed] { check_problem(seed, Part::kBackward); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
