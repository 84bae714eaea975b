// SPDX-License-Identifier: Apache-2.0
/** Attention at the edges: empty tensors, very low and very high scores, rows of equal scores. */
#include <algorithm>

#include "tests/attention_edge.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

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

}  // namespace
}  // namespace test
}  // namespace tfxf
