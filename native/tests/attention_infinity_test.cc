// SPDX-License-Identifier: Apache-2.0
/** Attention where something is infinite, NaN, or so large that it overflows. */
#include <algorithm>

#include "tests/attention_edge.h"
#include "tests/attention_reference.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

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

/** Products that overflow are infinite, not NaN: a score of -Infinity, and dK of infinities. */
TFXF_TEST(overflow, "edge/attention/products that overflow") {
  if (!keep_infinities()) return;
  for (const int64_t columns : {16, 32}) {
    const size_t d = static_cast<size_t>(columns);
    AttentionProblem p = problem_of_ones(40, {DType::kFloat32, static_cast<uint8_t>(columns)});
    draw_positive(p.query);
    for (float& x : p.query) x *= 2e6f;
    for (float& x : p.key) x *= 1e-6f;
    for (size_t x = 0; x < d; x++) p.key[3 * d + x] = -3.3e38f;
    AttentionProblem hidden = p;
    hidden.bias = {BiasKind::kBool, {1, 1, 1, 40}, std::vector<float>(40, 1.0f)};
    hidden.bias.values[3] = 0.0f;
    const AttentionForward want = reference_forward(hidden);
    AttentionProblem steep = problem_of_ones(40, {DType::kFloat32, static_cast<uint8_t>(columns)});
    for (float& x : steep.query) x = 1e20f;
    steep.key.assign(steep.key.size(), 0.0f);
    for (size_t n = 0; n < steep.doutput.size(); n++) steep.doutput[n] = n / d % 2 == 0 ? 1.01e30f : 0.0f;
    const AttentionMemory memory(p), steep_memory(steep);
    for (const KernelTable* table : tables()) {
      const std::string who = std::string(table->name) + ", " + describe(p) + ":";
      const ForwardResult forward = memory.forward(*table, in_turns(1));
      expect_close(who + " output", forward.output, want.output, output_shape(p), {});
      const GradientResult got = memory.backward(*table, in_turns(1), forward);
      for (size_t n = 0; n < got.value.size(); n++) TFXF_CHECK(std::isfinite(got.value[n]));
      const GradientResult back = steep_memory.backward(*table, in_turns(1), steep_memory.forward(*table, in_turns(1)));
      size_t infinite = 0;
      for (const float x : back.key) {
        TFXF_CHECK(!std::isnan(x));
        infinite += std::isinf(x) ? 1 : 0;
      }
      TFXF_CHECK(infinite > back.key.size() / 2);
    }
  }
}

/** Values near the largest float32 are averaged without overflow, whatever order the scores come in. */
TFXF_TEST(large_values, "edge/attention/values near the largest number") {
  for (const int64_t columns : {16, 32}) {
    AttentionProblem p = problem_of({1, 40, 300, 1, 1, columns, columns});
    for (float& x : p.query) x *= 4.0f;  // scores rise from key to key
    p.value.assign(p.value.size(), 1e36f);
    const AttentionMemory memory(p);
    for (const KernelTable* table : tables()) {
      const ForwardResult got = memory.forward(*table, in_turns(1));
      const std::vector<double> want(got.output.size(), 1e36);
      const Rule rule = {false, DType::kFloat32, kLargest, nullptr};
      expect_close(std::string(table->name) + " output", got.output, want, output_shape(p), rule);
    }
  }
}

/** Scores of 1e10 and more, whose rounding alone would make or break a weight. */
TFXF_TEST(huge_scores, "edge/attention/equal scores by products, of 1e10") {
  for (const int64_t columns : {16, 32}) {
    for (const bool causal : {false, true}) {
      AttentionProblem p = problem_of({1, 40, 40, 1, 1, columns, columns});
      if (causal) p.mask.right = 0;
      p.query.assign(p.query.size(), 123456.7f);
      p.key.assign(p.key.size(), 98765.4f);
      p.value.assign(p.value.size(), 1.0f);
      const AttentionMemory memory(p);
      for (const KernelTable* table : tables()) {
        const ForwardResult got = memory.forward(*table, in_turns(1));
        const std::vector<double> want(got.output.size(), 1.0);
        expect_close(std::string(table->name) + " output", got.output, want, output_shape(p), {});
      }
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
