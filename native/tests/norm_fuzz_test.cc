// SPDX-License-Identifier: Apache-2.0
/**
 * Random norms on every table: against the float64 reference; a NaN that stays in its row; the same bits for any number
 * of workers. The seed is in each name.
 */
#include <algorithm>
#include <cmath>

#include "tests/attention_call.h"
#include "tests/golden.h"
#include "tests/norm_problem.h"
#include "tests/random.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

Stored draw_stored(Random& random, uint32_t seed, int64_t count, double scale = 1.0, double offset = 0.0) {
  const DType dtype = random.chance(0.5) ? DType::kFloat32 : DType::kBFloat16;
  return {draw_tensor(seed, count, dtype, scale, offset), dtype, true};
}

int64_t draw_columns(Random& random) {
  if (random.chance(0.4)) return random.integer(1, 70);
  if (random.chance(0.7)) return random.integer(1, 1100);
  return random.pick<int64_t>({128, 255, 256, 257, 1023, 1024, 1025, 2048, 4097, 5000});
}

NormProblem draw_norm(uint64_t key) {
  Random random(key);
  NormProblem p;
  p.columns = draw_columns(random);
  const int64_t most = 60000 / p.columns + 2;
  p.rows = random.chance(0.2) ? random.integer(0, 3) : random.integer(1, most);
  p.rms = random.chance(0.5);
  p.epsilon = random.pick<float>({1e-5f, 1e-6f, 1e-3f});
  if (p.rms && random.chance(0.5)) p.weight_offset = 1.0f;
  const uint32_t seed = static_cast<uint32_t>(random.integer(1, 1000000000));
  const int64_t all = p.rows * p.columns;
  p.x = draw_stored(random, seed, all);
  if (random.chance(0.4)) p.residual = draw_stored(random, seed + 1, all);
  const double centre = 1.0 - static_cast<double>(p.weight_offset);
  if (random.chance(0.7)) p.gamma = draw_stored(random, seed + 2, p.columns, 0.2, centre);
  if (!p.rms && random.chance(0.7)) p.beta = draw_stored(random, seed + 3, p.columns, 0.5);
  p.dy = draw_tensor(seed + 4, all);
  if (random.chance(0.3)) p.dsum = draw_tensor(seed + 5, all);
  p.output_dtype = random.chance(0.5) ? DType::kFloat32 : DType::kBFloat16;
  p.wants_dgamma = random.chance(0.9);
  p.wants_dbeta = random.chance(0.9);
  return p;
}

/** A gradient of x is as large as rstd: of rows of one or two columns that may be 1 / sqrt(epsilon). */
double gradient_unit(const NormForward& want) {
  double most = 1.0;
  for (const double rstd : want.rstd) most = std::max(most, rstd);
  return most;
}

std::string label(const KernelTable& table, const NormProblem& p) {
  return std::string(table.name) + ", " + describe(p) + ":";
}

void check_random(uint64_t seed) {
  const NormProblem p = draw_norm(seed);
  const NormForward want = reference_norm(p);
  const NormGradients gradients = reference_norm_gradients(p);
  for (const KernelTable* table : tables()) {
    const NormForwardResult forward = run_norm(p, *table, in_turns(3));
    check_norm(p, label(*table, p), forward, want, 1.0);
    check_norm_gradients(p, label(*table, p), run_norm_backward(p, *table, in_turns(3), forward), gradients,
                         gradient_unit(want));
  }
}

void expect_same(const NormProblem& p, const std::string& who, const NormForwardResult& got,
                 const NormForwardResult& want, const std::function<bool(int64_t)>& skip = nullptr) {
  expect_same_bits(who + " output", got.output, want.output, {p.rows, p.columns}, skip);
  expect_same_bits(who + " sum", got.sum, want.sum, {p.rows, p.columns}, skip);
}

void expect_same(const NormProblem& p, const std::string& who, const NormBackwardResult& got,
                 const NormBackwardResult& want) {
  expect_same_bits(who + " dx", got.x, want.x, {p.rows, p.columns});
  expect_same_bits(who + " dgamma", got.gamma, want.gamma, {p.columns});
  expect_same_bits(who + " dbeta", got.beta, want.beta, {p.columns});
}

void check_workers(uint64_t seed) {
  const NormProblem p = draw_norm(seed * 31 + 7);
  for (const KernelTable* table : tables()) {
    const NormForwardResult forward = run_norm(p, *table, in_turns(1));
    const NormBackwardResult backward = run_norm_backward(p, *table, in_turns(1), forward);
    for (const int workers : {1, 2, 3, 7}) {
      for (const Parallel& parallel : {in_turns(workers), in_threads(workers)}) {
        const std::string who = format("%d workers, ", workers) + label(*table, p);
        const NormForwardResult again = run_norm(p, *table, parallel);
        expect_same(p, who, again, forward);
        expect_same_bits(who + " stats", again.stats, forward.stats, {p.rows, 2});
        expect_same(p, who, run_norm_backward(p, *table, parallel, forward), backward);
      }
    }
  }
}

/** NaN or an infinity in one row makes no other row differ, and NaN fills its own. */
void check_spoilt(uint64_t seed) {
  Random random(seed + 5);
  const NormProblem p = draw_norm(seed * 17 + 3);
  if (p.rows == 0) return;
  NormProblem dirty = p;
  const int64_t row = random.integer(0, p.rows - 1);
  const float what = random.pick<float>({NAN, NAN, HUGE_VALF, -HUGE_VALF});
  dirty.x.values[static_cast<size_t>(row * p.columns + random.integer(0, p.columns - 1))] = what;
  const auto own = [&](int64_t n) { return n / p.columns == row; };
  for (const KernelTable* table : tables()) {
    const NormForwardResult want = run_norm(p, *table, in_turns(2)), got = run_norm(dirty, *table, in_turns(2));
    expect_same(p, label(*table, p), got, want, own);
    const std::vector<float> dx = run_norm_backward(dirty, *table, in_turns(2), got).x;
    expect_same_bits(label(*table, p) + " dx", dx, run_norm_backward(p, *table, in_turns(2), want).x,
                     {p.rows, p.columns}, own);
    if (!std::isnan(what)) continue;
    for (size_t n = 0; n < dx.size(); n++) {
      if (!own(static_cast<int64_t>(n))) continue;
      if (!std::isnan(got.output[n]) || !std::isnan(dx[n])) {
        return fail(label(*table, p) + " NaN does not show at " + index_of(static_cast<int64_t>(n), {p.rows, p.columns}));
      }
    }
  }
}

/** Finite values whose squares overflow: the variance is infinite, so the row and its gradient become 0, not NaN. */
void check_overflow(int64_t columns) {
  NormProblem p;
  p.rows = 5;
  p.columns = columns;
  p.x.present = true;
  for (int64_t n = 0; n < p.rows * columns; n++) {
    p.x.values.push_back(n % 2 == 0 ? 1e19f : -1e19f);
    p.dy.push_back(1.0f);
  }
  for (const KernelTable* table : tables()) {
    const NormForwardResult forward = run_norm(p, *table, in_turns(1));
    const std::vector<float> dx = run_norm_backward(p, *table, in_turns(1), forward).x;
    for (size_t n = 0; n < dx.size(); n++) {
      if (forward.output[n] == 0.0f && dx[n] == 0.0f) continue;
      return fail(format("%s: %lld columns of 1e19 give output %g, dx %g, not 0", table->name, static_cast<long long>(columns),
                         static_cast<double>(forward.output[n]), static_cast<double>(dx[n])));
    }
  }
}

TFXF_SUITE(norm_fuzz) {
  for (const int64_t columns : {4, 8, 19, 64, 128, 300, 768, 1024, 5000}) {
    add_test("fuzz/norm/overflow/columns=" + std::to_string(columns), [columns] { check_overflow(columns); });
  }
  for (int n = 0; n < rounds_or(120); n++) {
    const uint64_t seed = options().seed + static_cast<uint64_t>(n);
    const std::string name = "seed=" + std::to_string(seed);
    add_test("fuzz/norm/" + name, [seed] { check_random(seed); });
    if (n >= 20 && options().rounds == 0) continue;
    add_test("workers/norm/" + name, [seed] { check_workers(seed); });
    add_test("hidden/norm/" + name, [seed] { check_spoilt(seed); });
  }
}

TFXF_TEST(norm_no_columns, "edge/norm/rows without columns") {
  NormProblem p;
  p.rows = 3;
  p.epsilon = 0.25f;
  p.x.present = true;
  for (const KernelTable* table : tables()) {
    const NormForwardResult forward = run_norm(p, *table, in_turns(2));
    expect_same_bits(std::string(table->name) + " stats", forward.stats, {0, 2, 0, 2, 0, 2}, {3, 2});
    run_norm_backward(p, *table, in_turns(2), forward);
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
