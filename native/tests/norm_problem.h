// SPDX-License-Identifier: Apache-2.0
/** One call of the fused norm: its options and values, its float64 reference, and calls of the kernels on it. */
#pragma once

#include <string>
#include <vector>

#include "cpu/kernel_table.h"
#include "tests/attention_reference.h"
#include "tests/close.h"

namespace tfxf {
namespace test {

/** A tensor of a problem. */
struct Stored {
  std::vector<float> values;  // already rounded to the dtype
  DType dtype = DType::kFloat32;
  bool present = false;
};

struct NormProblem {
  int64_t rows = 0, columns = 0;
  bool rms = false;
  float epsilon = 1e-5f, weight_offset = 0.0f;
  Stored x, residual, gamma, beta;
  DType output_dtype = DType::kFloat32;
  std::vector<float> dy;    // [rows, columns]
  std::vector<float> dsum;  // the same, or empty
  bool wants_dgamma = true, wants_dbeta = true;
};

/** h = x + residual; output = (h - mean) * rstd * (gamma + weight_offset) + beta. */
struct NormForward {
  std::vector<double> output, mean, rstd;
};
NormForward reference_norm(const NormProblem& p, Arithmetic arithmetic = Arithmetic::kExact);

/** Of sum(output * dy) + sum(h * dsum); dx is also the gradient of the residual. */
struct NormGradients {
  std::vector<double> x, gamma, beta;
};
NormGradients reference_norm_gradients(const NormProblem& p, Arithmetic arithmetic = Arithmetic::kExact);

struct NormForwardResult {
  std::vector<float> output, stats, sum;
};
NormForwardResult run_norm(const NormProblem& p, const KernelTable& table, const Parallel& parallel);

struct NormBackwardResult {
  std::vector<float> x, gamma, beta;
};
/** From the statistics and the sum that the forward call gave. */
NormBackwardResult run_norm_backward(const NormProblem& p, const KernelTable& table, const Parallel& parallel,
                                     const NormForwardResult& forward);

std::string describe(const NormProblem& p);

/** Compares; `unit` is that of close.h. The rule of gradients is that of x's dtype. */
void check_norm(const NormProblem& p, const std::string& who, const NormForwardResult& got, const NormForward& want,
                double unit);
void check_norm_gradients(const NormProblem& p, const std::string& who, const NormBackwardResult& got,
                          const NormGradients& want, double unit);

}  // namespace test
}  // namespace tfxf
