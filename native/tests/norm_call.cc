// SPDX-License-Identifier: Apache-2.0
/** Runs a NormProblem on a table of kernels, in guarded memory as attention_call.h has it, and compares. */
#include "tests/attention_call.h"
#include "tests/guarded.h"
#include "tests/norm_problem.h"

namespace tfxf {
namespace test {
namespace {

/** A tensor of rows in memory, and its view; absent: null. */
struct Rows {
  Guarded<uint8_t> bytes;
  RowsView view;

  Rows(const Stored& tensor, int64_t columns, const char* name)
      : bytes(Guarded<uint8_t>::of(stored_rows(tensor.values, columns, tensor.dtype), name)) {
    view = {tensor.present ? bytes.data() : nullptr, tensor.dtype};
  }
};

}  // namespace

NormForwardResult run_norm(const NormProblem& p, const KernelTable& table, const Parallel& parallel) {
  doing(std::string(table.name) + " norm_forward, " + describe(p));
  const Rows x(p.x, p.columns, "x"), residual(p.residual, p.columns, "residual"), gamma(p.gamma, p.columns, "gamma"),
      beta(p.beta, p.columns, "beta");
  const int64_t bytes = p.rows * row_elements(p.output_dtype, p.columns) * element_bytes(p.output_dtype);
  Guarded<uint8_t> output(bytes, kGarbageByte, "output");
  Guarded<float> stats(p.rows * 2, kGarbageByte, "stats");
  Guarded<float> sum(p.residual.present ? p.rows * p.columns : 0, kGarbageByte, "sum");
  table.norm_forward({p.rows, p.columns, p.rms, p.epsilon, p.weight_offset, x.view, residual.view, gamma.view,
                      beta.view, output.data(), p.output_dtype, stats.data(),
                      p.residual.present ? sum.data() : nullptr},
                     parallel);
  return {loaded_rows(output.data(), p.rows, p.columns, p.output_dtype, "output"), stats.values(), sum.values()};
}

NormBackwardResult run_norm_backward(const NormProblem& p, const KernelTable& table, const Parallel& parallel,
                                     const NormForwardResult& forward) {
  doing(std::string(table.name) + " norm_backward, " + describe(p));
  Stored normed = p.x;
  if (p.residual.present) normed = {forward.sum, DType::kFloat32, true};
  const Rows x(normed, p.columns, "x"), gamma(p.gamma, p.columns, "gamma");
  const Guarded<float> dy = Guarded<float>::of(p.dy, "dy"), dsum = Guarded<float>::of(p.dsum, "dsum"),
                       stats = Guarded<float>::of(forward.stats, "stats");
  const bool wants_dgamma = p.wants_dgamma && p.gamma.present;
  const bool wants_dbeta = p.wants_dbeta && p.beta.present;
  Guarded<float> dx(p.rows * p.columns, kGarbageByte, "dx");
  Guarded<float> dgamma(wants_dgamma ? p.columns : 0, kGarbageByte, "dgamma");
  Guarded<float> dbeta(wants_dbeta ? p.columns : 0, kGarbageByte, "dbeta");
  NormBackwardArgs args;
  args.rows = p.rows;
  args.columns = p.columns;
  args.rms = p.rms;
  args.weight_offset = p.weight_offset;
  args.dy = dy.data();
  args.x = x.view;
  args.gamma = gamma.view;
  args.stats = stats.data();
  args.dsum = p.dsum.empty() ? nullptr : dsum.data();
  args.dx = dx.data();
  args.dgamma = wants_dgamma ? dgamma.data() : nullptr;
  args.dbeta = wants_dbeta ? dbeta.data() : nullptr;
  Guarded<uint8_t> workspace(norm_backward_workspace(args), kGuardByte, "norm workspace");
  args.workspace = workspace.data();
  table.norm_backward(args, parallel);
  return {dx.values(), dgamma.values(), dbeta.values()};
}

std::string describe(const NormProblem& p) {
  const auto name = [](DType dtype) { return dtype == DType::kFloat32 ? "f32" : "bf16"; };
  std::string text = format("%s %ldx%ld %s->%s", p.rms ? "rms" : "layer", static_cast<long>(p.rows),
                            static_cast<long>(p.columns), name(p.x.dtype), name(p.output_dtype));
  if (p.residual.present) text += format(" residual %s", name(p.residual.dtype));
  if (p.gamma.present) text += format(" gamma %s", name(p.gamma.dtype));
  if (p.beta.present) text += format(" beta %s", name(p.beta.dtype));
  if (!p.dsum.empty()) text += " dsum";
  return text + format(" epsilon %g offset %g", static_cast<double>(p.epsilon), static_cast<double>(p.weight_offset));
}

void check_norm(const NormProblem& p, const std::string& who, const NormForwardResult& got, const NormForward& want,
                double unit) {
  const Shape shape = {p.rows, p.columns};
  const auto naive = [&](std::vector<double> NormForward::*member) {
    return [&p, member] { return reference_norm(p, Arithmetic::kNaive).*member; };
  };
  expect_close(who + " output", got.output, want.output, shape,
               {false, p.output_dtype, unit, naive(&NormForward::output)});
  std::vector<float> mean, rstd;
  for (size_t n = 0; n < got.stats.size(); n++) (n % 2 == 0 ? mean : rstd).push_back(got.stats[n]);
  expect_close(who + " mean", mean, want.mean, {p.rows}, {false, DType::kFloat32, unit, naive(&NormForward::mean)});
  expect_close(who + " rstd", rstd, want.rstd, {p.rows}, {false, DType::kFloat32, unit, naive(&NormForward::rstd)});
  std::vector<float> sum;
  for (size_t n = 0; n < got.sum.size(); n++) sum.push_back(p.x.values[n] + p.residual.values[n]);
  expect_same_bits(who + " sum", got.sum, sum, shape);
}

void check_norm_gradients(const NormProblem& p, const std::string& who, const NormBackwardResult& got,
                          const NormGradients& want, double unit) {
  const auto check = [&](const char* name, std::vector<float> NormBackwardResult::*values,
                         std::vector<double> NormGradients::*member, const Shape& shape) {
    const auto naive = [&p, member] { return reference_norm_gradients(p, Arithmetic::kNaive).*member; };
    expect_close(who + " " + name, got.*values, want.*member, shape, {true, p.x.dtype, unit, naive});
  };
  check("dx", &NormBackwardResult::x, &NormGradients::x, {p.rows, p.columns});
  if (p.gamma.present && p.wants_dgamma) {
    check("dgamma", &NormBackwardResult::gamma, &NormGradients::gamma, {p.columns});
  }
  if (p.beta.present && p.wants_dbeta) {
    check("dbeta", &NormBackwardResult::beta, &NormGradients::beta, {p.columns});
  }
}

}  // namespace test
}  // namespace tfxf
