// SPDX-License-Identifier: Apache-2.0
/** Attention at the edges: empty tensors, very low and very high scores, rows of equal scores. */
#include <algorithm>
#include <cmath>

#include "tests/attention_call.h"
#include "tests/attention_reference.h"
#include "tests/golden.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

AttentionProblem problem_of(const AttentionShape& shape, DType dtype = DType::kFloat32) {
  AttentionProblem p;
  p.shape = shape;
  p.dtype = p.output_dtype = dtype;
  p.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.key_dim)));
  p.query = draw_tensor(1, size_of(query_shape(p)), dtype);
  p.key = draw_tensor(2, size_of(key_shape(p)), dtype);
  p.value = draw_tensor(3, size_of(value_shape(p)), dtype);
  p.doutput = draw_tensor(4, size_of(output_shape(p)));
  return p;
}

/** Few columns of float32 never go by tiles. */
struct Kind {
  DType dtype;
  uint8_t columns;
};
constexpr Kind kKinds[] = {{DType::kFloat32, 16}, {DType::kFloat32, 32}, {DType::kBFloat16, 16}};

void expect_all(const std::string& what, const std::vector<float>& values, float want) {
  for (size_t n = 0; n < values.size(); n++) {
    if (values[n] == want) continue;
    return fail(format("%s: element %zu is %g, not %g", what.c_str(), n, static_cast<double>(values[n]),
                       static_cast<double>(want)));
  }
}

/** No query sees a key: outputs, sums and all gradients say so. */
void expect_nothing(const AttentionProblem& p) {
  const AttentionMemory memory(p);
  for (const KernelTable* table : tables()) {
    const std::string who = std::string(table->name) + ", " + describe(p) + ":";
    const ForwardResult forward = memory.forward(*table, in_turns(2));
    expect_all(who + " output", forward.output, 0.0f);
    expect_all(who + " logSumExp", forward.log_sum_exp, -HUGE_VALF);
    const GradientResult g = memory.backward(*table, in_turns(2), forward);
    for (const auto* gradient : {&g.query, &g.key, &g.value, &g.bias, &g.sink}) {
      expect_all(who + " gradient", *gradient, 0.0f);
    }
  }
}

TFXF_TEST(no_elements, "edge/attention/empty tensors") {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    expect_nothing(problem_of({0, 5, 7, 4, 2, 33, 31}, dtype));
    expect_nothing(problem_of({0, 200, 70, 4, 2, 64, 64}, dtype));
    expect_nothing(problem_of({2, 0, 7, 4, 2, 33, 31}, dtype));
    expect_nothing(problem_of({2, 5, 0, 4, 2, 33, 31}, dtype));
    expect_nothing(problem_of({2, 1, 0, 4, 2, 64, 64}, dtype));
    AttentionProblem causal = problem_of({1, 300, 0, 2, 2, 64, 64}, dtype);
    causal.mask.right = 0;
    causal.sink = {1.0f, 2.0f};
    expect_nothing(causal);
  }
}

TFXF_TEST(all_hidden, "edge/attention/queries that see nothing") {
  for (const int64_t queries : {1, 3, 130}) {
    AttentionProblem p = problem_of({1, queries, 70, 4, 2, 48, 40});
    p.sink = {0.0f, 1.0f, -1.0f, 5.0f};
    p.dlog_sum_exp = draw_tensor(8, size_of(row_shape(p)));
    AttentionProblem by_bias = p;
    by_bias.bias = {BiasKind::kFloat, {1, 1, 1, 70}, std::vector<float>(70, -HUGE_VALF)};
    expect_nothing(by_bias);
    by_bias.bias = {BiasKind::kBool, {1, 1, 1, 1}, {0.0f}};
    expect_nothing(by_bias);
    p.mask.blocks = {{queries, 70, 0, {}}};
    expect_nothing(p);
    p.mask.blocks = {{queries, 0, 70, {}}};
    p.mask.right = 0;
    p.mask.left = 5;
    p.mask.bottom_right = false;
    p.mask.blocks = {{0, 0, 70, {}}, {queries, 9, 0, {}}, {0, 0, 0, {}}};
    expect_nothing(p);
  }
}

/**
 * Equal scores, however low or high: the average of the values, and as much of doutput to each of them. Next to scores
 * of 1e9 a float32 logSumExp has no room for the logarithm of the count: there gradients are finite, and no more.
 */
TFXF_TEST(equal_scores, "edge/attention/equal scores, however low or high, give the average") {
  for (const float bias : {0.0f, -1e4f, 1e4f, -1e9f, -1e30f, -3.4028234663852886e38f, 1e30f}) {
    for (const int64_t queries : {1, 40}) {
      AttentionProblem p = problem_of({1, queries, 64, 1, 1, 32, 32});
      p.query.assign(p.query.size(), 0.0f);
      for (size_t n = 0; n < p.value.size(); n++) p.value[n] = static_cast<float>(n / 32 % 4);
      p.bias = {BiasKind::kFloat, {1, 1, 1, 64}, std::vector<float>(64, bias)};
      const AttentionMemory memory(p);
      std::vector<double> dvalue(p.value.size(), 0.0);
      for (size_t n = 0; n < p.doutput.size(); n++) {
        for (size_t j = 0; j < 64; j++) dvalue[j * 32 + n % 32] += static_cast<double>(p.doutput[n]) / 64.0;
      }
      for (const KernelTable* table : tables()) {
        const std::string who = format("%s, bias %g, %ld queries", table->name, static_cast<double>(bias),
                                       static_cast<long>(queries));
        const ForwardResult got = memory.forward(*table, in_turns(1));
        expect_close(who + " output", got.output, std::vector<double>(got.output.size(), 1.5), output_shape(p), {});
        const GradientResult gradients = memory.backward(*table, in_turns(1), got);
        for (const float x : gradients.query) TFXF_CHECK(std::isfinite(x));
        for (const float x : gradients.value) TFXF_CHECK(std::isfinite(x));
        const Rule rule = {true, DType::kBFloat16, 1.0, nullptr};
        if (std::fabs(bias) <= 1e4f) expect_close(who + " dvalue", gradients.value, dvalue, value_shape(p), rule);
      }
    }
  }
}

/** One score far above the others takes all the weight, in any place. */
TFXF_TEST(one_key, "edge/attention/one score far above the others") {
  for (const int64_t chosen : {0, 1, 95, 96, 199}) {
    for (const int64_t queries : {1, 70}) {
      AttentionProblem p = problem_of({1, queries, 200, 2, 1, 40, 24});
      p.bias = {BiasKind::kFloat, {1, 1, 1, 200}, std::vector<float>(200, 0.0f)};
      p.bias.values[static_cast<size_t>(chosen)] = 1e5f;
      const AttentionMemory memory(p);
      std::vector<double> want;
      for (int64_t row = 0; row < queries * 2; row++) {
        const auto value = p.value.begin() + chosen * 24;
        want.insert(want.end(), value, value + 24);
      }
      for (const KernelTable* table : tables()) {
        const ForwardResult got = memory.forward(*table, in_turns(1));
        expect_close(std::string(table->name) + " output", got.output, want, output_shape(p), {});
      }
    }
  }
}

/** The same by the products themselves, with scores of 1e4: no bias, so the kernels for plain calls run. */
TFXF_TEST(one_product, "edge/attention/one product far above the others") {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const int64_t chosen : {0, 127, 128, 199}) {
      AttentionProblem p = problem_of({1, 70, 200, 2, 1, 64, 64}, dtype);
      p.query.assign(p.query.size(), 8.0f);
      p.key.assign(p.key.size(), 0.0f);
      std::fill_n(p.key.begin() + chosen * 64, 64, 156.0f);
      p.scale = 0.125f;
      for (size_t n = 0; n < p.doutput.size(); n++) p.doutput[n] = static_cast<float>(n % 5) - 1.0f;
      const AttentionMemory memory(p);
      std::vector<double> want;
      for (int64_t row = 0; row < 140; row++) {
        const auto value = p.value.begin() + chosen * 64;
        want.insert(want.end(), value, value + 64);
      }
      const std::vector<double> sums(140, 9984.0);
      std::vector<double> dvalue(p.value.size(), 0.0);
      for (size_t n = 0; n < p.doutput.size(); n++) {
        dvalue[static_cast<size_t>(chosen) * 64 + n % 64] += static_cast<double>(p.doutput[n]);
      }
      for (const KernelTable* table : tables()) {
        const ForwardResult got = memory.forward(*table, in_turns(1));
        expect_close(std::string(table->name) + " output", got.output, want, output_shape(p), {false, dtype, 1.0, nullptr});
        expect_close(std::string(table->name) + " logSumExp", got.log_sum_exp, sums, row_shape(p), {});
        const GradientResult gradients = memory.backward(*table, in_turns(1), got);
        const Rule rule = {true, dtype, 1.0, nullptr};
        expect_close(std::string(table->name) + " dvalue", gradients.value, dvalue, value_shape(p), rule);
      }
    }
  }
}

/** An infinite output gradient makes dV infinite for the keys that its query sees, and for no other. */
TFXF_TEST(infinite_doutput, "edge/attention/an infinite output gradient") {
  for (const Kind& kind : kKinds) {
    for (const bool causal : {false, true}) {
      const size_t d = kind.columns;
      AttentionProblem p = problem_of({1, 40, 40, 1, 1, kind.columns, kind.columns}, kind.dtype);
      if (causal) p.mask.right = 0;
      p.doutput[20 * d] = HUGE_VALF;
      const AttentionMemory memory(p);
      for (const KernelTable* table : tables()) {
        const ForwardResult forward = memory.forward(*table, in_turns(1));
        const GradientResult got = memory.backward(*table, in_turns(1), forward);
        for (size_t j = 0; j < 40; j++) {
          const float first = got.value[j * d], second = got.value[j * d + 1];
          const bool seen = !causal || j <= 20;
          // Kernels on a GPU round it to bfloat16 and may make NaN of it.
          const bool is_right = !seen ? std::isfinite(first) : round_doutput() ? !std::isfinite(first) : first == HUGE_VALF;
          if (is_right && std::isfinite(second)) continue;
          fail(format("%s, %s, dV of key %zu: %g and %g", table->name, describe(p).c_str(), j, static_cast<double>(first),
                      static_cast<double>(second)));
        }
      }
    }
  }
}

/** A query that is NaN spoils the gradients of the keys that it sees, and of no other. */
TFXF_TEST(nan_query, "edge/attention/a query that is NaN") {
  for (const Kind& kind : kKinds) {
    const size_t d = kind.columns;
    AttentionProblem p = problem_of({1, 40, 40, 2, 1, kind.columns, kind.columns}, kind.dtype);
    p.mask.right = 0;
    p.query[20 * 2 * d + d + 3] = NAN;  // of head 1
    const AttentionMemory memory(p);
    for (const KernelTable* table : tables()) {
      const GradientResult got = memory.backward(*table, in_turns(1), memory.forward(*table, in_turns(1)));
      for (size_t n = 0; n < 40 * d; n++) {
        const bool seen = n / d <= 20;
        if (std::isfinite(got.key[n]) != seen && std::isfinite(got.value[n]) != seen) continue;
        fail(format("%s, %s, element %zu of dK and dV: %g and %g", table->name, describe(p).c_str(), n,
                    static_cast<double>(got.key[n]), static_cast<double>(got.value[n])));
      }
      for (size_t n = 0; n < got.query.size(); n++) {
        TFXF_CHECK(std::isfinite(got.query[n]) != (n / d == 41));
      }
    }
  }
}

/** 384 rows: whole tiles of every kernel, in which nothing is hidden. 40: on a GPU one tile that is not full. */
AttentionProblem problem_of_ones(int64_t rows, const Kind& kind) {
  AttentionProblem p = problem_of({1, rows, rows, 1, 1, kind.columns, kind.columns}, kind.dtype);
  p.query.assign(p.query.size(), 1.0f);
  return p;
}

/**
 * Scores of -Infinity alone: no key has a weight, nor a gradient. dQ is a sum of products of 0 and -Infinity, so NaN; where
 * a tile hides something, kernels may pass over weights of 0.
 */
TFXF_TEST(infinite_keys, "edge/attention/scores of -Infinity") {
  for (const Kind& kind : kKinds) {
    if (kind.dtype == DType::kFloat32 && !keep_infinities()) continue;
    for (const int64_t rows : {40, 384}) {
      AttentionProblem p = problem_of_ones(rows, kind);
      p.key.assign(p.key.size(), -HUGE_VALF);
      const AttentionMemory memory(p);
      for (const KernelTable* table : tables()) {
        const std::string who = std::string(table->name) + ", " + describe(p) + ":";
        const ForwardResult forward = memory.forward(*table, in_turns(1));
        const GradientResult got = memory.backward(*table, in_turns(1), forward);
        expect_all(who + " logSumExp", forward.log_sum_exp, -HUGE_VALF);
        expect_all(who + " dK", got.key, 0.0f);
        expect_all(who + " dV", got.value, 0.0f);
        for (const float x : got.query) TFXF_CHECK(std::isnan(x) || (rows == 40 && x == 0.0f));
      }
    }
  }
}

/** The score hides nothing: its weight of 0 times NaN is NaN, in dS and so in the key's gradient. */
TFXF_TEST(nan_beside_infinity, "edge/attention/NaN in an output gradient or a value beside a score of -Infinity") {
  for (const Kind& kind : kKinds) {
    for (const int64_t rows : {40, 384}) {
      for (const bool in_value : {false, true}) {
        const size_t d = kind.columns;
        AttentionProblem p = problem_of_ones(rows, kind);
        std::fill_n(p.key.begin() + 3 * kind.columns, d, -HUGE_VALF);
        (in_value ? p.value[3 * d] : p.doutput[20 * d]) = NAN;
        const AttentionMemory memory(p);
        for (const KernelTable* table : tables()) {
          const ForwardResult forward = memory.forward(*table, in_turns(1));
          const GradientResult got = memory.backward(*table, in_turns(1), forward);
          for (size_t n = 3 * d; n < 4 * d; n++) {
            if (std::isnan(got.key[n])) continue;
            fail(format("%s, %s, NaN in %s: dK of the key is %g", table->name, describe(p).c_str(),
                        in_value ? "its value" : "an output gradient", static_cast<double>(got.key[n])));
          }
          for (size_t n = 0; n < d; n++) TFXF_CHECK(std::isnan(got.query[(in_value ? 0 : 20) * d + n]));
        }
      }
    }
  }
}

/** Positive numbers, some with bits beyond the first 8. */
void draw_positive(std::vector<float>& values) {
  for (size_t n = 0; n < values.size(); n++) values[n] = n % 3 == 0 ? 1.0f : 1.0078125f + (n % 5 == 0 ? 0.0f : 1e-3f);
}

/** A visible score of -Infinity beside others weighs nothing: outputs and dV are those without the key. */
TFXF_TEST(one_infinite_key, "edge/attention/one score of -Infinity beside others") {
  for (const Kind& kind : kKinds) {
    if (kind.dtype == DType::kFloat32 && !keep_infinities()) continue;
    for (const int64_t rows : {40, 384}) {
      AttentionProblem p = problem_of_ones(rows, kind);
      if (kind.dtype == DType::kFloat32) draw_positive(p.query);
      AttentionProblem hidden = p;
      std::fill_n(p.key.begin() + 3 * kind.columns, kind.columns, -HUGE_VALF);
      hidden.bias = {BiasKind::kBool, {1, 1, 1, rows}, std::vector<float>(static_cast<size_t>(rows), 1.0f)};
      hidden.bias.values[3] = 0.0f;
      const AttentionForward want = reference_forward(hidden);
      const AttentionGradients gradients = reference_gradients(hidden);
      const AttentionMemory memory(p);
      for (const KernelTable* table : tables()) {
        const std::string who = std::string(table->name) + ", " + describe(p) + ":";
        const ForwardResult forward = memory.forward(*table, in_turns(1));
        const GradientResult got = memory.backward(*table, in_turns(1), forward);
        const auto naive = [&] { return reference_forward(hidden, Arithmetic::kNaive).output; };
        const Rule rule = {false, kind.dtype, 1.0, naive}, gradient_rule = {true, DType::kBFloat16, 1.0, nullptr};
        expect_close(who + " output", forward.output, want.output, output_shape(p), rule);
        expect_close(who + " logSumExp", forward.log_sum_exp, want.log_sum_exp, row_shape(p), {});
        expect_close(who + " dV", got.value, gradients.value, value_shape(p), gradient_rule);
      }
    }
  }
}

/** An infinite gradient of one logSumExp makes dK infinite, not NaN, for the keys that its query sees, and for no other. */
TFXF_TEST(infinite_dlse, "edge/attention/an infinite gradient of logSumExp") {
  for (const Kind& kind : kKinds) {
    for (const bool causal : {false, true}) {
      const size_t d = kind.columns;
      AttentionProblem p = problem_of_ones(40, kind);
      if (kind.dtype == DType::kFloat32) draw_positive(p.query);
      if (causal) p.mask.right = 0;
      p.dlog_sum_exp.assign(40, 0.0f);
      p.dlog_sum_exp[20] = HUGE_VALF;
      const AttentionMemory memory(p);
      for (const KernelTable* table : tables()) {
        const GradientResult got = memory.backward(*table, in_turns(1), memory.forward(*table, in_turns(1)));
        for (size_t n = 0; n < got.key.size(); n++) {
          const bool seen = !causal || n / d <= 20;
          const bool is_right = !seen ? std::isfinite(got.key[n]) : round_doutput() ? !std::isfinite(got.key[n])
                                                                                     : got.key[n] == HUGE_VALF;
          if (is_right) continue;
          fail(format("%s, %s: element %zu of dK is %g", table->name, describe(p).c_str(), n,
                      static_cast<double>(got.key[n])));
        }
      }
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
