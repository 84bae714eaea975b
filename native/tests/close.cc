// SPDX-License-Identifier: Apache-2.0
/** Comparison of results; the rule is in close.h. */
#include "tests/close.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

double ulp(double x, DType dtype) {
  int exponent = -126;
  if (x != 0.0 && std::isfinite(x)) {
    std::frexp(x, &exponent);
    exponent = std::max(exponent - 1, -126);
  }
  return std::ldexp(1.0, exponent - (dtype == DType::kBFloat16 ? 7 : 23));
}

double allowed_error(double reference, double unit, const Rule& rule) {
  const double size = std::fabs(reference);
  const bool wide = rule.dtype == DType::kFloat32;
  if (!rule.gradient) return 3e-5 * unit + (wide ? 3e-5 * size : ulp(reference, rule.dtype));
  return wide ? 1e-4 * unit + 1e-4 * size : 4e-3 * unit + 1e-2 * size;
}

/** 0 where both are the same infinity or both NaN; infinite where only one of them is finite. */
double error_of(double got, double reference) {
  if (got == reference || (std::isnan(got) && std::isnan(reference))) return 0.0;
  const double error = std::fabs(got - reference);
  return std::isfinite(error) ? error : HUGE_VAL;
}

double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (const double value : values) {
    if (std::isfinite(value)) most = std::max(most, std::fabs(value));
  }
  return most;
}

template <typename List>
double largest_error(const List& got, const std::vector<double>& want) {
  double most = 0.0;
  for (size_t n = 0; n < want.size(); n++) most = std::max(most, error_of(got[n], want[n]));
  return most;
}

struct Worst {
  size_t index = 0, count = 0;  // of elements beyond what is allowed
  double ratio = 1.0;
};

Worst worst_of(const std::vector<float>& got, const std::vector<double>& want, double unit,
               const Rule& rule) {
  Worst worst;
  for (size_t n = 0; n < want.size(); n++) {
    const double error = error_of(got[n], want[n]);
    const double ratio = error == 0.0 ? 0.0 : error / allowed_error(want[n], unit, rule);
    if (ratio <= 1.0) continue;
    worst.count++;
    if (ratio > worst.ratio) {
      worst.ratio = ratio;
      worst.index = n;
    }
  }
  return worst;
}

}  // namespace

std::string index_of(int64_t n, const Shape& shape) {
  std::string text;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 0) return "[]";
    const std::string number = std::to_string(n % shape[axis]);
    text = text.empty() ? number : number + ", " + text;
    n /= shape[axis];
  }
  return "[" + text + "]";
}

std::vector<double> as_double(const std::vector<float>& values) {
  return std::vector<double>(values.begin(), values.end());
}

void expect_close(const std::string& what, const std::vector<float>& got,
                  const std::vector<double>& want, const Shape& shape, const Rule& rule) {
  if (got.size() != want.size()) {
    return fail(format("%s: %zu values, expected %zu", what.c_str(), got.size(), want.size()));
  }
  const double unit = rule.unit == kLargest ? largest(want) : rule.unit;
  const Worst worst = worst_of(got, want, unit, rule);
  if (worst.count == 0) return;
  const double error = largest_error(got, want);
  std::string beside;
  if (rule.naive && std::isfinite(error)) {
    const double naive = largest_error(rule.naive(), want);
    if (error <= (rule.gradient ? 3.0 : 2.0) * naive) return;
    beside = format("; the naive composition's largest error is %.3g, this one's %.3g", naive, error);
  }
  const size_t n = worst.index;
  fail(format("%s: element %zu %s should be %.9g, got %.9g: error %.3g, %.3g times what is allowed; "
              "%zu of %zu elements are off%s",
              what.c_str(), n, index_of(static_cast<int64_t>(n), shape).c_str(), want[n],
              static_cast<double>(got[n]),
              error_of(got[n], want[n]), worst.ratio, worst.count, want.size(), beside.c_str()));
}

void expect_same_bits(const std::string& what, const std::vector<float>& got,
                      const std::vector<float>& want, const Shape& shape,
                      const std::function<bool(int64_t)>& skip) {
  if (got.size() != want.size()) {
    return fail(format("%s: %zu values and %zu", what.c_str(), got.size(), want.size()));
  }
  size_t count = 0, first = 0;
  for (size_t n = 0; n < got.size(); n++) {
    if (memcmp(&got[n], &want[n], sizeof(float)) == 0) continue;
    if (skip && skip(static_cast<int64_t>(n))) continue;
    if (count++ == 0) first = n;
  }
  if (count == 0) return;
  fail(format("%s: element %zu %s is %.9g and should be %.9g, bit by bit; %zu of %zu elements differ",
              what.c_str(), first, index_of(static_cast<int64_t>(first), shape).c_str(),
              static_cast<double>(got[first]), static_cast<double>(want[first]), count, got.size()));
}

}  // namespace test
}  // namespace tfxf
