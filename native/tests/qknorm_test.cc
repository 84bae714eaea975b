// SPDX-License-Identifier: Apache-2.0
/**
 * Query and key norms that write bfloat16, then bfloat16 attention, against the golden values: the chain of calls of the
 * QK-norm layer. A normed value next to a rounding boundary may round the other way, an error of a bfloat16 ulp in
 * one of D terms, so the rule of bfloat16 gradients holds.
 */
#include <cmath>

#include "tests/attention_call.h"
#include "tests/golden.h"
#include "tests/norm_problem.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

struct Chain {
  std::string name;
  NormProblem query, key;
  AttentionProblem attention;
};

NormProblem head_norm(const Json& entry, uint32_t x, double scale, double offset, uint32_t gamma) {
  const std::vector<int64_t> d = entry.at("dims").integers();
  NormProblem p;
  p.rows = d[0] * d[1] * d[2];
  p.columns = d[3];
  p.rms = entry.at("norm").text == "rms";
  p.epsilon = static_cast<float>(entry.at("epsilon").number);
  p.output_dtype = DType::kBFloat16;
  p.x = {draw_tensor(x, p.rows * p.columns, DType::kFloat32, scale, offset), DType::kFloat32, true};
  p.gamma = {draw_tensor(gamma, p.columns, DType::kFloat32, 0.2, 1.0), DType::kFloat32, true};
  if (!p.rms) p.beta = {draw_tensor(gamma + 1, p.columns, DType::kFloat32, 0.3), DType::kFloat32, true};
  return p;
}

Chain chain_from(const Json& entry) {
  Chain c;
  c.name = entry.at("name").text;
  const uint32_t seed = static_cast<uint32_t>(entry.at("seed").number);
  c.query = head_norm(entry, seed, 2.0, 0.3, seed + 3);
  c.key = head_norm(entry, seed + 1, 0.5, -0.2, seed + 5);
  const std::vector<int64_t> d = entry.at("dims").integers();
  c.attention.shape = {d[0], d[1], d[1], d[2], d[2], d[3], d[3]};
  c.attention.dtype = DType::kBFloat16;
  c.attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d[3])));
  if (entry.at("causal").boolean) c.attention.mask.right = 0;
  c.attention.value = draw_tensor(seed + 2, size_of(value_shape(c.attention)), DType::kBFloat16);
  return c;
}

void check_chain(const Chain& c) {
  const Rule rule = {true, DType::kBFloat16, 1.0, nullptr};
  const GoldenFile& golden = golden_file("qknorm");
  for (const KernelTable* table : tables()) {
    AttentionProblem p = c.attention;
    p.query = run_norm(c.query, *table, in_turns(2)).output;
    p.key = run_norm(c.key, *table, in_turns(2)).output;
    const ForwardResult got = AttentionMemory(p).forward(*table, in_turns(2));
    expect_close(std::string(table->name) + " output", got.output, as_double(golden.values<float>(c.name + "/out")),
                 output_shape(p), rule);
    expect_close(std::string(table->name) + " logSumExp", got.log_sum_exp,
                 as_double(golden.values<float>(c.name + "/lse")), row_shape(p), rule);
  }
}

TFXF_SUITE(qknorm) {
  for (const Json& entry : golden_index().at("qknorm").items) {
    const Chain c = chain_from(entry);
    add_test("golden/qknorm/" + c.name, [c] { check_chain(c); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
