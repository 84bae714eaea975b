// SPDX-License-Identifier: Apache-2.0
/** Layer norm and RMS norm with their gradients as plain loops, two-pass; in float the naive composition. */
#include <cmath>

#include "tests/norm_problem.h"

namespace tfxf {
namespace test {
namespace {

template <typename Real>
struct NormedRow {
  std::vector<Real> normed;
  Real mean, rstd;
};

template <typename Real>
NormedRow<Real> norm_row(const NormProblem& p, int64_t row) {
  const size_t columns = static_cast<size_t>(p.columns), start = static_cast<size_t>(row) * columns;
  std::vector<Real> sum;
  Real total = 0, squares = 0;
  for (size_t c = 0; c < columns; c++) {
    Real h = p.x.values[start + c];
    if (p.residual.present) h += Real(p.residual.values[start + c]);
    sum.push_back(h);
    total += h;
  }
  NormedRow<Real> result;
  result.mean = p.rms || columns == 0 ? Real(0) : total / Real(p.columns);
  for (const Real h : sum) squares += (h - result.mean) * (h - result.mean);
  const Real variance = columns == 0 ? Real(0) : squares / Real(p.columns);
  result.rstd = 1 / std::sqrt(variance + Real(p.epsilon));
  for (const Real h : sum) result.normed.push_back((h - result.mean) * result.rstd);
  return result;
}

template <typename Real>
Real weight(const NormProblem& p, size_t c) {
  return p.gamma.present ? Real(p.gamma.values[c]) + Real(p.weight_offset) : Real(1);
}

template <typename Real>
NormForward forward(const NormProblem& p) {
  NormForward result;
  for (int64_t row = 0; row < p.rows; row++) {
    const NormedRow<Real> normed = norm_row<Real>(p, row);
    result.mean.push_back(normed.mean);
    result.rstd.push_back(normed.rstd);
    for (size_t c = 0; c < normed.normed.size(); c++) {
      Real y = normed.normed[c] * weight<Real>(p, c);
      if (p.beta.present) y += Real(p.beta.values[c]);
      result.output.push_back(y);
    }
  }
  return result;
}

template <typename Real>
NormGradients gradients(const NormProblem& p) {
  const size_t columns = static_cast<size_t>(p.columns);
  std::vector<Real> dgamma(columns, Real(0)), dbeta(columns, Real(0));
  NormGradients result;
  for (int64_t row = 0; row < p.rows; row++) {
    const NormedRow<Real> normed = norm_row<Real>(p, row);
    const float* dy = p.dy.data() + static_cast<size_t>(row) * columns;
    std::vector<Real> g(columns);
    Real sum = 0, along = 0;
    for (size_t c = 0; c < columns; c++) {
      dgamma[c] += Real(dy[c]) * normed.normed[c];
      dbeta[c] += Real(dy[c]);
      g[c] = Real(dy[c]) * weight<Real>(p, c);
      sum += g[c];
      along += g[c] * normed.normed[c];
    }
    const Real across = p.rms ? Real(0) : sum / Real(p.columns);
    for (size_t c = 0; c < columns; c++) {
      Real dx = (g[c] - across - normed.normed[c] * (along / Real(p.columns))) * normed.rstd;
      if (!p.dsum.empty()) dx += Real(p.dsum[static_cast<size_t>(row) * columns + c]);
      result.x.push_back(dx);
    }
  }
  result.gamma.assign(dgamma.begin(), dgamma.end());
  result.beta.assign(dbeta.begin(), dbeta.end());
  return result;
}

}  // namespace

NormForward reference_norm(const NormProblem& p, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kExact ? forward<double>(p) : forward<float>(p);
}

NormGradients reference_norm_gradients(const NormProblem& p, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kExact ? gradients<double>(p) : gradients<float>(p);
}

}  // namespace test
}  // namespace tfxf
