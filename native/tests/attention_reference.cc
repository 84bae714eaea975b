// SPDX-License-Identifier: Apache-2.0
/** The loops of attention_reference.h, in double or, for the naive composition, in float. */
#include "tests/attention_reference.h"

#include <algorithm>
#include <cmath>

namespace tfxf {
namespace test {
namespace {

uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

/** What dropout multiplies a weight by; the formulas of src/spec/dropout.ts. */
double keep_factor(const AttentionProblem& p, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (p.dropout == 0.0) return 1.0;
  const auto u = [](int64_t n) { return static_cast<uint32_t>(n); };
  const uint32_t batch = mix(mix(p.dropout_seed) ^ (u(b) * 0x85ebca6bu + 1u));
  const uint32_t head = mix(batch ^ (u(h) * 0xc2b2ae35u + 1u));
  const uint32_t row = mix(head ^ (u(i) * 0x27d4eb2fu + 1u));
  const double drawn = mix(row ^ (u(j) * 0x165667b1u + 1u));
  return drawn >= std::floor(p.dropout * 4294967296.0) ? 1.0 / (1.0 - p.dropout) : 0.0;
}

template <typename Real>
struct Row {
  std::vector<int64_t> keys;  // rows of the key tensor
  std::vector<Real> capped, weights;
  Real log_sum_exp;
};

/** `Real` is double, or float for the naive composition. */
template <typename Real>
class Loops {
 public:
  explicit Loops(const AttentionProblem& p) : p_(p), s_(p.shape), visible_(visible_rows(p)) {}

  AttentionForward forward() const {
    AttentionForward result;
    result.output.assign(p_.doutput.size(), 0.0);
    for_each_row([&](int64_t b, int64_t h, int64_t i) {
      const Row<Real> row = row_of(b, h, i);
      result.log_sum_exp.push_back(row.log_sum_exp);
      std::vector<Real> sums(size(s_.value_dim), Real(0));
      for (size_t n = 0; n < row.keys.size(); n++) {
        const Real weight = row.weights[n] * factor(b, h, i, row.keys[n]);
        if (weight == Real(0)) continue;
        const float* v = value_row(b, h, row.keys[n]);
        for (size_t d = 0; d < sums.size(); d++) sums[d] += weight * Real(v[d]);
      }
      std::copy(sums.begin(), sums.end(), result.output.begin() + output_at(b, h, i));
    });
    return result;
  }

  AttentionGradients gradients(const std::vector<float>* output) const {
    Sums sums{Reals(p_.query.size()), Reals(p_.key.size()), Reals(p_.value.size()),
              Reals(p_.bias.values.size()), Reals(p_.sink.size())};
    for_each_row([&](int64_t b, int64_t h, int64_t i) {
      const Row<Real> row = row_of(b, h, i);
      if (!row.keys.empty()) add_row(row, b, h, i, output, sums);
    });
    const auto widened = [](const Reals& x) { return std::vector<double>(x.begin(), x.end()); };
    return {widened(sums.query), widened(sums.key), widened(sums.value), widened(sums.bias),
            widened(sums.sink)};
  }

 private:
  using Reals = std::vector<Real>;
  struct Sums {
    Reals query, key, value, bias, sink;
  };

  static size_t size(int64_t n) { return static_cast<size_t>(n); }
  int64_t kv_head(int64_t h) const { return h / (s_.heads / s_.kv_heads); }
  int64_t query_at(int64_t b, int64_t h, int64_t i) const {
    return ((b * s_.queries + i) * s_.heads + h) * s_.key_dim;
  }
  int64_t output_at(int64_t b, int64_t h, int64_t i) const {
    return ((b * s_.queries + i) * s_.heads + h) * s_.value_dim;
  }
  int64_t key_at(int64_t b, int64_t h, int64_t j) const {
    return ((b * s_.keys + j) * s_.kv_heads + kv_head(h)) * s_.key_dim;
  }
  int64_t value_at(int64_t b, int64_t h, int64_t j) const {
    return ((b * s_.keys + j) * s_.kv_heads + kv_head(h)) * s_.value_dim;
  }
  const float* value_row(int64_t b, int64_t h, int64_t j) const {
    return p_.value.data() + value_at(b, h, j);
  }
  Real factor(int64_t b, int64_t h, int64_t i, int64_t j) const {
    return static_cast<Real>(keep_factor(p_, b, h, i, j));
  }
  /** What is written to memory between two operations of the naive composition. */
  Real stored(Real x) const {
    if (sizeof(Real) == sizeof(double) || p_.dtype == DType::kFloat32) return x;
    return widen_bfloat16(round_bfloat16(static_cast<float>(x)));
  }

  template <typename Visit>
  void for_each_row(const Visit& visit) const {
    for (int64_t b = 0; b < s_.batch; b++) {
      for (int64_t h = 0; h < s_.heads; h++) {
        for (int64_t i = 0; i < s_.queries; i++) visit(b, h, i);
      }
    }
  }

  Row<Real> row_of(int64_t b, int64_t h, int64_t i) const {
    Row<Real> row;
    Reals scores;
    const float* q = p_.query.data() + query_at(b, h, i);
    for (const int64_t j : visible_[size(i)]) {
      if (hidden_by_bias(p_.bias, b, h, i, j)) continue;
      const float* k = p_.key.data() + key_at(b, h, j);
      Real dot = 0;
      for (int64_t d = 0; d < s_.key_dim; d++) dot += Real(q[d]) * Real(k[d]);
      Real score = stored(dot * Real(p_.scale));
      if (p_.softcap > 0.0f) score = Real(p_.softcap) * std::tanh(score / Real(p_.softcap));
      row.keys.push_back(j);
      row.capped.push_back(score);
      if (p_.bias.kind == BiasKind::kFloat) {
        score += Real(p_.bias.values[size(broadcast_index(p_.bias.shape, b, h, i, j))]);
      }
      scores.push_back(stored(score));
    }
    row.log_sum_exp = -HUGE_VALF;
    if (!row.keys.empty()) weigh(row, scores, h);
    return row;
  }

  void weigh(Row<Real>& row, const Reals& scores, int64_t h) const {
    const Real sink = p_.sink.empty() ? Real(-HUGE_VALF) : Real(p_.sink[size(h)]);
    const Real most = std::max(*std::max_element(scores.begin(), scores.end()), sink);
    Real sum = std::exp(sink - most);
    for (const Real score : scores) {
      row.weights.push_back(std::exp(score - most));
      sum += row.weights.back();
    }
    for (Real& weight : row.weights) weight = stored(weight / sum);
    row.log_sum_exp = most + std::log(sum);
  }

  void add_row(const Row<Real>& row, int64_t b, int64_t h, int64_t i,
               const std::vector<float>* output, Sums& sums) const {
    const float* go = p_.doutput.data() + output_at(b, h, i);
    Real delta = 0;
    Reals dweights;
    for (size_t n = 0; n < row.keys.size(); n++) {
      const Real kept = factor(b, h, i, row.keys[n]);
      const float* v = value_row(b, h, row.keys[n]);
      Real* dv = sums.value.data() + value_at(b, h, row.keys[n]);
      Real dot = 0;
      for (int64_t d = 0; d < s_.value_dim; d++) {
        dot += Real(go[d]) * Real(v[d]);
        dv[d] += row.weights[n] * kept * Real(go[d]);
      }
      delta += row.weights[n] * (dot * kept);
      dweights.push_back(stored(dot * kept));
    }
    if (output != nullptr) {
      delta = 0;
      const float* o = output->data() + output_at(b, h, i);
      for (int64_t d = 0; d < s_.value_dim; d++) delta += Real(go[d]) * Real(o[d]);
    }
    if (!p_.dlog_sum_exp.empty()) {
      delta -= Real(p_.dlog_sum_exp[size((b * s_.heads + h) * s_.queries + i)]);
    }
    for (size_t n = 0; n < row.keys.size(); n++) {
      const Real dbiased = stored(row.weights[n] * (dweights[n] - delta));
      add_score(row, n, dbiased, b, h, i, sums);
    }
    if (!p_.sink.empty()) {
      sums.sink[size(h)] -= std::exp(Real(p_.sink[size(h)]) - row.log_sum_exp) * delta;
    }
  }

  /** The share of one score's gradient in dbias, dquery and dkey. */
  void add_score(const Row<Real>& row, size_t n, Real dbiased, int64_t b, int64_t h, int64_t i,
                 Sums& sums) const {
    const int64_t j = row.keys[n];
    if (p_.bias.kind == BiasKind::kFloat) {
      sums.bias[size(broadcast_index(p_.bias.shape, b, h, i, j))] += dbiased;
    }
    Real dscore = dbiased * Real(p_.scale);
    if (p_.softcap > 0.0f) {
      const Real ratio = row.capped[n] / Real(p_.softcap);
      dscore *= 1 - ratio * ratio;
    }
    const float* q = p_.query.data() + query_at(b, h, i);
    const float* k = p_.key.data() + key_at(b, h, j);
    Real* dq = sums.query.data() + query_at(b, h, i);
    Real* dk = sums.key.data() + key_at(b, h, j);
    for (int64_t d = 0; d < s_.key_dim; d++) {
      dq[d] += dscore * Real(k[d]);
      dk[d] += dscore * Real(q[d]);
    }
  }

  const AttentionProblem& p_;
  const AttentionShape& s_;
  const std::vector<std::vector<int64_t>> visible_;
};

}  // namespace

AttentionForward reference_forward(const AttentionProblem& p, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kExact ? Loops<double>(p).forward() : Loops<float>(p).forward();
}

AttentionGradients reference_gradients(const AttentionProblem& p, Arithmetic arithmetic,
                                       const std::vector<float>* output) {
  return arithmetic == Arithmetic::kExact ? Loops<double>(p).gradients(output)
                                          : Loops<float>(p).gradients(output);
}

}  // namespace test
}  // namespace tfxf
