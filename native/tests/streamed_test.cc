// SPDX-License-Identifier: Apache-2.0
/** Outputs that are large enough to be written past the caches are those of any other size: here that is one byte. */
#include <string>
#include <vector>

#include "cpu/caches.h"
#include "tests/attention_call.h"
#include "tests/golden.h"
#include "tests/guarded.h"
#include "tests/norm_problem.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

class StreamedScope {
 public:
  StreamedScope() { set_streamed_bytes(1); }
  ~StreamedScope() { set_streamed_bytes(0); }
  StreamedScope(const StreamedScope&) = delete;
  StreamedScope& operator=(const StreamedScope&) = delete;
};

Stored stored(uint32_t seed, int64_t size) { return {draw_tensor(seed, size), DType::kFloat32, true}; }

/** Only rows of whole vectors are streamed. */
NormProblem problem(int64_t columns, DType output_dtype, bool residual, bool rms) {
  NormProblem p;
  p.rows = 37;
  p.columns = columns;
  p.rms = rms;
  p.output_dtype = output_dtype;
  const int64_t all = p.rows * columns;
  p.x = stored(1, all);
  if (residual) p.residual = stored(2, all);
  p.gamma = stored(3, columns);
  if (!rms) p.beta = stored(4, columns);
  p.dy = draw_tensor(5, all);
  return p;
}

void check_norm_streamed(const NormProblem& p) {
  for (const KernelTable* table : tables()) {
    const std::string who = std::string(table->name) + ", " + describe(p) + ":";
    const NormForwardResult forward = run_norm(p, *table, in_threads(2));
    const NormBackwardResult backward = run_norm_backward(p, *table, in_threads(2), forward);
    const StreamedScope streamed;
    TFXF_CHECK(streamed_bytes() == 1);
    const NormForwardResult got = run_norm(p, *table, in_threads(2));
    expect_same_bits(who + " output", got.output, forward.output, {p.rows, p.columns});
    expect_same_bits(who + " sum", got.sum, forward.sum, {p.rows, p.columns});
    const std::vector<float> dx = run_norm_backward(p, *table, in_threads(2), forward).x;
    expect_same_bits(who + " dx", dx, backward.x, {p.rows, p.columns});
  }
}

TFXF_SUITE(norm_streamed) {
  for (const int64_t columns : {16, 64, 128, 272, 1024, 4112}) {
    for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      for (const bool residual : {false, true}) {
        for (const bool rms : {false, true}) {
          const NormProblem p = problem(columns, dtype, residual, rms);
          add_test("streamed/norm/" + describe(p), [p] { check_norm_streamed(p); });
        }
      }
    }
  }
}

TFXF_TEST(bf16_streamed, "streamed/bf16") {
  const int64_t size = 70000;
  const Guarded<float> x = Guarded<float>::of(draw_tensor(1, size), "x");
  for (const KernelTable* table : tables()) {
    const auto pack = [&] {
      Guarded<uint16_t> y(size, kGarbageByte, "pack's y");
      table->pack_bfloat16({1, size, x.data(), y.data()}, in_threads(2));
      return y.values();
    };
    const auto unpack = [&](const std::vector<uint16_t>& bits) {
      const Guarded<uint16_t> from = Guarded<uint16_t>::of(bits, "unpack's x");
      Guarded<float> y(size, kGarbageByte, "unpack's y");
      table->unpack_bfloat16({1, size, from.data(), y.data()}, in_threads(2));
      return y.values();
    };
    const std::vector<uint16_t> bits = pack();
    const std::vector<float> wide = unpack(bits);
    const StreamedScope streamed;
    TFXF_CHECK(pack() == bits);
    TFXF_CHECK(unpack(bits) == wide);
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
