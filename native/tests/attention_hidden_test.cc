// SPDX-License-Identifier: Apache-2.0
/**
 * NaN and infinities in keys and values: what no query sees changes no bit of any result; what some queries see
 * changes nothing for the others, and NaN shows in the results of those that see it.
 *
 * A query row is reached when it sees a planted key row, and a key row when a reached query sees it: a spoilt
 * row has a spoilt logSumExp or output, and so spoils the gradients of all its keys.
 */
#include <cmath>

#include "tests/attention_call.h"
#include "tests/attention_draw.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

/** Who sees whom, by mask and bias: [B][H][Mq] lists of key rows. */
class Sight {
 public:
  explicit Sight(const AttentionProblem& p) : p_(p), by_mask_(visible_rows(p)) {}

  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (int64_t b = 0; b < p_.shape.batch; b++) {
      for (int64_t h = 0; h < p_.shape.heads; h++) {
        for (int64_t i = 0; i < p_.shape.queries; i++) {
          for (const int64_t j : by_mask_[static_cast<size_t>(i)]) {
            if (!hidden_by_bias(p_.bias, b, h, i, j)) visit(b, h, i, j);
          }
        }
      }
    }
  }
  int64_t query_index(int64_t b, int64_t h, int64_t i) const { return (b * p_.shape.queries + i) * p_.shape.heads + h; }
  int64_t key_index(int64_t b, int64_t h, int64_t j) const {
    return (b * p_.shape.keys + j) * p_.shape.kv_heads + h / (p_.shape.heads / p_.shape.kv_heads);
  }

 private:
  const AttentionProblem& p_;
  const std::vector<std::vector<int64_t>> by_mask_;
};

/** Flags of rows: [B, Mk, G], [B, Mq, H]. */
struct Reach {
  std::vector<char> planted, seen, query, key;
};

Reach reach_of(const AttentionProblem& p, const std::vector<char>& planted) {
  const AttentionShape& s = p.shape;
  const Sight sight(p);
  Reach r;
  r.planted = planted;
  r.seen.assign(planted.size(), 0);
  r.key.assign(planted.size(), 0);
  r.query.assign(static_cast<size_t>(s.batch * s.queries * s.heads), 0);
  const auto at = [](int64_t n) { return static_cast<size_t>(n); };
  sight.for_each([&](int64_t b, int64_t h, int64_t i, int64_t j) {
    r.seen[at(sight.key_index(b, h, j))] = 1;
    if (planted[at(sight.key_index(b, h, j))]) r.query[at(sight.query_index(b, h, i))] = 1;
  });
  sight.for_each([&](int64_t b, int64_t h, int64_t i, int64_t j) {
    if (r.query[at(sight.query_index(b, h, i))]) r.key[at(sight.key_index(b, h, j))] = 1;
  });
  return r;
}

enum class Where { kKey, kValue, kBoth };

/** The problem with `what` in the planted rows: in the whole row, or in one column. */
AttentionProblem planted_with(AttentionProblem p, const std::vector<char>& planted, float what, Where where,
                              bool whole_row) {
  const auto plant = [&](std::vector<float>& values, int64_t width) {
    for (size_t row = 0; row < planted.size(); row++) {
      if (!planted[row]) continue;
      for (int64_t d = 0; d < width; d++) {
        if (whole_row || d == static_cast<int64_t>(row) % width) {
          values[row * static_cast<size_t>(width) + static_cast<size_t>(d)] = what;
        }
      }
    }
  };
  if (where != Where::kValue) plant(p.key, p.shape.key_dim);
  if (where != Where::kKey) plant(p.value, p.shape.value_dim);
  return p;
}

std::string label(const KernelTable& table, const AttentionProblem& p, float what, Where where, bool whole_row) {
  const char* places[] = {"keys", "values", "keys and values"};
  return format("%s, %g in %s of %s, %s:", table.name, static_cast<double>(what), whole_row ? "rows" : "elements",
                places[static_cast<int>(where)], describe(p).c_str());
}

struct Results {
  ForwardResult forward;
  GradientResult gradients;
};

Results run(const AttentionProblem& p, const KernelTable& table, bool backward) {
  const AttentionMemory memory(p);
  Results results;
  results.forward = memory.forward(table, in_turns(2));
  if (backward) results.gradients = memory.backward(table, in_turns(2), results.forward);
  return results;
}

/** Everything but rows of reached queries and keys must be the same. */
void expect_unreached_same(const AttentionProblem& p, const std::string& who, const Results& got,
                           const Results& want, const Reach& reach) {
  const AttentionShape& s = p.shape;
  const auto of_rows = [](const std::vector<char>& flags, int64_t width) {
    return [&flags, width](int64_t n) { return flags[static_cast<size_t>(n / width)] != 0; };
  };
  const auto of_sums = [&](int64_t n) {  // logSumExp is [B, H, Mq]
    const int64_t i = n % s.queries, h = n / s.queries % s.heads, b = n / s.queries / s.heads;
    return reach.query[static_cast<size_t>((b * s.queries + i) * s.heads + h)] != 0;
  };
  expect_same_bits(who + " output", got.forward.output, want.forward.output, output_shape(p),
                   of_rows(reach.query, s.value_dim));
  expect_same_bits(who + " logSumExp", got.forward.log_sum_exp, want.forward.log_sum_exp, row_shape(p), of_sums);
  if (got.gradients.query.empty()) return;
  expect_same_bits(who + " dquery", got.gradients.query, want.gradients.query, query_shape(p),
                   of_rows(reach.query, s.key_dim));
  expect_same_bits(who + " dkey", got.gradients.key, want.gradients.key, key_shape(p), of_rows(reach.key, s.key_dim));
  expect_same_bits(who + " dvalue", got.gradients.value, want.gradients.value, value_shape(p),
                   of_rows(reach.key, s.value_dim));
}

void expect_same_sums(const AttentionProblem& p, const std::string& who, const Results& got, const Results& want) {
  expect_same_bits(who + " dbias", got.gradients.bias, want.gradients.bias, p.bias.shape);
  expect_same_bits(who + " dsink", got.gradients.sink, want.gradients.sink, {p.shape.heads});
}

/** logSumExp is NaN where the query is flagged. */
void expect_nan_sums(const AttentionProblem& p, const std::string& who, const std::vector<float>& sums,
                     const std::vector<char>& queries) {
  const AttentionShape& s = p.shape;
  for (int64_t n = 0; n < static_cast<int64_t>(sums.size()); n++) {
    const int64_t i = n % s.queries, h = n / s.queries % s.heads, b = n / s.queries / s.heads;
    const bool reached = queries[static_cast<size_t>((b * s.queries + i) * s.heads + h)] != 0;
    const double sum = static_cast<double>(sums[static_cast<size_t>(n)]);
    if (!reached || std::isnan(sum)) continue;
    return fail(format("%s: logSumExp %s is %g, and NaN was to show there", who.c_str(),
                       index_of(n, row_shape(p)).c_str(), sum));
  }
}

/** All of a row is NaN where the row is flagged. */
void expect_nan(const std::string& what, const std::vector<float>& values, const std::vector<char>& rows,
                int64_t width, const Shape& shape) {
  for (size_t n = 0; n < values.size(); n++) {
    if (!rows[n / static_cast<size_t>(width)] || std::isnan(values[n])) continue;
    return fail(format("%s: element %zu %s is %.9g, and NaN was to show there", what.c_str(), n,
                       index_of(static_cast<int64_t>(n), shape).c_str(), static_cast<double>(values[n])));
  }
}

struct Drawn {
  AttentionProblem problem;
  Random random;
  std::vector<char> seen;  // rows of key and value
};

Drawn draw(uint64_t seed, DrawOptions draw_options) {
  draw_options.work = 400000;
  draw_options.hides_keys = true;
  Drawn drawn{draw_problem(seed * 7919 + 1, draw_options), Random(seed + 99), {}};
  AttentionProblem& p = drawn.problem;
  p.wants_inputs = p.wants_bias = p.wants_sink = true;
  drawn.seen = reach_of(p, std::vector<char>(static_cast<size_t>(p.shape.batch * p.shape.keys * p.shape.kv_heads))).seen;
  return drawn;
}

void check_unseen(uint64_t seed, bool backward, const DrawOptions& draw_options = {}) {
  Drawn drawn = draw(seed, draw_options);
  const AttentionProblem& p = drawn.problem;
  std::vector<char> planted;
  for (const char seen : drawn.seen) planted.push_back(!seen);
  const float what = drawn.random.pick<float>({NAN, NAN, HUGE_VALF, -HUGE_VALF, 3e38f});
  const bool whole_row = drawn.random.chance(0.5);
  const AttentionProblem dirty = planted_with(p, planted, what, Where::kBoth, whole_row);
  const Reach reach = reach_of(p, planted);
  for (const KernelTable* table : tables()) {
    const std::string who = label(*table, p, what, Where::kBoth, whole_row);
    const Results want = run(p, *table, backward), got = run(dirty, *table, backward);
    expect_unreached_same(p, who, got, want, reach);
    if (backward) expect_same_sums(p, who, got, want);
  }
}

void check_seen(uint64_t seed, bool backward, const DrawOptions& draw_options = {}) {
  Drawn drawn = draw(seed, draw_options);
  const AttentionProblem& p = drawn.problem;
  std::vector<char> planted(drawn.seen.size());
  for (int n = 0; n < 2; n++) {
    const int64_t last = static_cast<int64_t>(planted.size()) - 1;
    planted[static_cast<size_t>(drawn.random.integer(0, last))] = 1;
  }
  const Where where = drawn.random.pick<Where>({Where::kKey, Where::kValue, Where::kBoth});
  const float what = drawn.random.pick<float>({NAN, NAN, HUGE_VALF, -HUGE_VALF});
  const bool whole_row = drawn.random.chance(0.5);
  const AttentionProblem dirty = planted_with(p, planted, what, where, whole_row);
  const Reach reach = reach_of(p, planted);
  for (const KernelTable* table : tables()) {
    const std::string who = label(*table, p, what, where, whole_row);
    const Results want = run(p, *table, backward), got = run(dirty, *table, backward);
    expect_unreached_same(p, who, got, want, reach);
    if (!std::isnan(what)) continue;
    const AttentionShape& s = p.shape;
    if (where != Where::kValue || whole_row) {
      expect_nan(who + " output", got.forward.output, reach.query, s.value_dim, output_shape(p));
    }
    if (where != Where::kValue) expect_nan_sums(p, who, got.forward.log_sum_exp, reach.query);
    if (!backward) continue;
    expect_nan(who + " dquery", got.gradients.query, reach.query, s.key_dim, query_shape(p));
    expect_nan(who + " dkey", got.gradients.key, reach.key, s.key_dim, key_shape(p));
  }
}

/** Where a query once changed bits of its neighbours in a vector. */
constexpr uint64_t kNeighbours[] = {150852, 150917, 208939, 308842};

TFXF_SUITE(attention_hidden_decoding) {
  DrawOptions draw_options;
  draw_options.decoding = true;
  for (int n = 0; n < rounds_or(120); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    const std::string name = "decoding/seed=" + std::to_string(seed);
    add_test("hidden/attention/from_all/forward/" + name, [=] { check_unseen(seed, false, draw_options); });
    add_test("hidden/attention/from_some/forward/" + name, [=] { check_seen(seed, false, draw_options); });
  }
}

TFXF_SUITE(attention_hidden) {
  std::vector<uint64_t> seeds(kNeighbours, kNeighbours + 4);
  for (int n = 0; n < rounds_or(120); n++) seeds.push_back(options().seed + static_cast<uint64_t>(n));
  for (const uint64_t seed : seeds) {
    const std::string name = "seed=" + std::to_string(seed);
    add_test("hidden/attention/from_all/forward/" + name, [seed] { check_unseen(seed, false); });
    add_test("hidden/attention/from_all/backward/" + name, [seed] { check_unseen(seed, true); });
    add_test("hidden/attention/from_some/forward/" + name, [seed] { check_seen(seed, false); });
    add_test("hidden/attention/from_some/backward/" + name, [seed] { check_seen(seed, true); });
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
