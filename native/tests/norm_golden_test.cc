// SPDX-License-Identifier: Apache-2.0
/** Layer norm and RMS norm against the golden values: the float64 reference of these tests, and every table. */
#include "tests/attention_problem.h"
#include "tests/golden.h"
#include "tests/norm_problem.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

struct GoldenNorm {
  std::string name;
  NormProblem problem;
  double unit;
};

Stored drawn(uint32_t seed, int64_t count, DType dtype, double scale = 1.0, double offset = 0.0) {
  return {draw_tensor(seed, count, dtype, scale, offset), dtype, true};
}

GoldenNorm golden_norm(const Json& entry) {
  GoldenNorm c;
  NormProblem& p = c.problem;
  c.name = entry.at("name").text;
  const Shape shape = entry.at("shape").integers();
  p.columns = shape.back();
  p.rows = size_of(shape) / p.columns;
  p.rms = entry.at("rms").boolean;
  p.epsilon = static_cast<float>(entry.at("epsilon").number);
  const DType dtype = entry.at("dtype").text == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
  const uint32_t seed = static_cast<uint32_t>(entry.at("seed").number);
  const double scale = entry.at("xscale").number, offset = entry.at("xoffset").number;
  const int64_t all = p.rows * p.columns;
  p.x = drawn(seed, all, dtype, scale, offset);
  if (entry.at("residual").boolean) p.residual = drawn(seed + 1, all, dtype);
  if (entry.at("gamma").boolean) p.gamma = drawn(seed + 2, p.columns, DType::kFloat32, 0.2, 1.0);
  if (entry.at("beta").boolean) p.beta = drawn(seed + 3, p.columns, DType::kFloat32, 0.5);
  p.dy = draw_tensor(seed + 4, all, dtype);
  p.output_dtype = dtype;
  c.unit = scale == 1.0 && offset == 0.0 ? 1.0 : kLargest;
  return c;
}

/** Empty where the file holds none. */
std::vector<double> stored(const GoldenNorm& c, const char* name) {
  const std::string full = c.name + "/" + name;
  const GoldenFile& file = golden_file("layernorm");
  return file.has(full) ? as_double(file.values<float>(full)) : std::vector<double>();
}

NormForward stored_forward(const GoldenNorm& c) { return {stored(c, "y"), stored(c, "mean"), stored(c, "rstd")}; }

NormGradients stored_gradients(const GoldenNorm& c) {
  return {stored(c, "dx"), stored(c, "dgamma"), stored(c, "dbeta")};
}

std::vector<float> as_float(const std::vector<double>& values) {
  return std::vector<float>(values.begin(), values.end());
}

void check_reference(const GoldenNorm& c) {
  const NormForward forward = reference_norm(c.problem);
  std::vector<float> stats;
  for (size_t n = 0; n < forward.mean.size(); n++) {
    stats.push_back(static_cast<float>(forward.mean[n]));
    stats.push_back(static_cast<float>(forward.rstd[n]));
  }
  check_norm(c.problem, "reference", {as_float(forward.output), stats, {}}, stored_forward(c), c.unit);
  const NormGradients g = reference_norm_gradients(c.problem);
  check_norm_gradients(c.problem, "reference", {as_float(g.x), as_float(g.gamma), as_float(g.beta)},
                       stored_gradients(c), c.unit);
}

void check_tables(const GoldenNorm& c) {
  for (const KernelTable* table : tables()) {
    const NormForwardResult forward = run_norm(c.problem, *table, in_turns(2));
    check_norm(c.problem, table->name, forward, stored_forward(c), c.unit);
    check_norm_gradients(c.problem, table->name, run_norm_backward(c.problem, *table, in_turns(2), forward),
                         stored_gradients(c), c.unit);
  }
}

TFXF_SUITE(norm_golden) {
  for (const Json& entry : golden_index().at("layernorm").items) {
    const GoldenNorm c = golden_norm(entry);
    add_test("reference/norm/" + c.name, [c] { check_reference(c); });
    add_test("golden/norm/" + c.name, [c] { check_tables(c); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
