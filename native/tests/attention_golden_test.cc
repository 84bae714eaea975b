// SPDX-License-Identifier: Apache-2.0
/**
 * Attention against the golden values: the float64 reference of these tests (so that it can be trusted elsewhere), and
 * every table's kernels, forward and then backward from their own output, with 3 workers.
 */
#include "tests/attention_golden.h"
#include "tests/golden.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

std::vector<double> stored(const GoldenAttention& c, const char* name) {
  return as_double(golden_file("attention").values<float>(c.name + "/" + name));
}

int64_t work_of(const AttentionShape& s) {
  return s.batch * s.heads * s.queries * s.keys * (s.key_dim + s.value_dim);
}

Rule forward_rule(DType dtype, std::function<std::vector<double>()> naive) {
  return {false, dtype, 1.0, std::move(naive)};
}

void check_forward(const GoldenAttention& c, const std::string& who, const ForwardResult& got, DType dtype) {
  const AttentionProblem& p = c.problem;
  const auto naive_output = [&] {
    return rows_of(reference_forward(p, Arithmetic::kNaive).output, output_shape(p), 1, c.rows);
  };
  const auto naive_sum = [&] {
    return rows_of(reference_forward(p, Arithmetic::kNaive).log_sum_exp, row_shape(p), 2, c.rows);
  };
  expect_close(who + " output", rows_of(got.output, output_shape(p), 1, c.rows), stored(c, "out"),
               with_rows(output_shape(p), 1, c.rows), forward_rule(dtype, naive_output));
  expect_close(who + " logSumExp", rows_of(got.log_sum_exp, row_shape(p), 2, c.rows), stored(c, "lse"),
               with_rows(row_shape(p), 2, c.rows), forward_rule(DType::kFloat32, naive_sum));
}

void check_gradients(const GoldenAttention& c, const std::string& who, const GradientResult& got, DType dtype) {
  const AttentionProblem& p = c.problem;
  const auto check = [&](const char* name, const std::vector<float>& values, const Shape& shape,
                         const std::vector<int64_t>& rows, double unit,
                         std::vector<double> AttentionGradients::*member) {
    const auto naive = [&] {
      return rows_of(reference_gradients(p, Arithmetic::kNaive).*member, shape, 1, rows);
    };
    expect_close(who + " " + name, rows_of(values, shape, 1, rows), stored(c, name),
                 with_rows(shape, 1, rows), {true, dtype, unit, naive});
  };
  using G = AttentionGradients;
  check("dq", got.query, query_shape(p), c.rows, c.query_unit, &G::query);
  check("dk", got.key, key_shape(p), c.kv_rows, c.key_unit, &G::key);
  check("dv", got.value, value_shape(p), c.kv_rows, 1.0, &G::value);
  if (p.bias.kind != BiasKind::kNone) check("dbias", got.bias, p.bias.shape, {}, 1.0, &G::bias);
}

std::vector<float> as_float(const std::vector<double>& values) {
  return std::vector<float>(values.begin(), values.end());
}

void check_reference(const GoldenAttention& c) {
  const AttentionForward forward = reference_forward(c.problem);
  check_forward(c, "reference", {as_float(forward.output), as_float(forward.log_sum_exp)}, DType::kFloat32);
  const AttentionGradients g = reference_gradients(c.problem);
  check_gradients(c, "reference",
                  {as_float(g.query), as_float(g.key), as_float(g.value), as_float(g.bias), {}},
                  DType::kFloat32);
}

TFXF_SUITE(attention_golden) {
  for (const GoldenAttention& c : golden_attention()) {
    if (work_of(c.problem.shape) < 20000000) add_test("reference/attention/" + c.name, [c] { check_reference(c); });
    if (work_of(c.problem.shape) > most_work()) continue;
    add_test("golden/attention/forward/" + c.name, [c] {
      const AttentionMemory memory(c.problem);
      for (const KernelTable* table : tables()) {
        check_forward(c, table->name, memory.forward(*table, in_turns(3)), c.problem.dtype);
      }
    });
    add_test("golden/attention/backward/" + c.name, [c] {
      const AttentionMemory memory(c.problem);
      for (const KernelTable* table : tables()) {
        const ForwardResult forward = memory.forward(*table, in_turns(3));
        check_gradients(c, table->name, memory.backward(*table, in_turns(3), forward), c.problem.dtype);
      }
    });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
