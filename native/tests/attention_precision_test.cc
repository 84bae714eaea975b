// SPDX-License-Identifier: Apache-2.0
/**
 * Attention is as accurate as documented, however products are taken: of float32 by registers or in three terms on tiles, and
 * beside bfloat16 values with weights in float32 or in two terms.
 */
#include <cmath>
#include <cstdio>

#include "tests/attention_call.h"
#include "tests/attention_reference.h"
#include "tests/golden.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

/** The root mean square of the error over that of the reference. */
double relative_error(const std::vector<float>& got, const std::vector<double>& want) {
  double error = 0.0, size = 0.0;
  for (size_t n = 0; n < got.size(); n++) {
    const double off = static_cast<double>(got[n]) - want[n];
    error += off * off;
    size += want[n] * want[n];
  }
  return std::sqrt(error / size);
}

constexpr double kUnit = 1.0 / (1 << 24);

TFXF_TEST(float32, "precision/attention/errors of float32 are those of sums of float32") {
  for (const int64_t columns : {64, 128}) {
    AttentionProblem p;
    p.shape = {1, 160, 300, 2, 1, columns, columns};
    p.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(columns)));
    p.query = draw_tensor(1, size_of(query_shape(p)));
    p.key = draw_tensor(2, size_of(key_shape(p)));
    p.value = draw_tensor(3, size_of(value_shape(p)));
    p.doutput = draw_tensor(4, size_of(output_shape(p)));
    const AttentionForward forward = reference_forward(p);
    const AttentionGradients gradients = reference_gradients(p);
    const AttentionMemory memory(p);
    for (const KernelTable* table : tables()) {
      const ForwardResult got = memory.forward(*table, in_turns(2));
      const GradientResult back = memory.backward(*table, in_turns(2), got);
      // Emulated tiles add one product after the other, as no processor does: 17. One product of six left out: 110.
      const double most = table->name == std::string("amxemulated") ? 24.0 : 12.0;
      const auto check = [&](const char* what, const std::vector<float>& values, const std::vector<double>& want) {
        const double units = relative_error(values, want) / kUnit;
        if (options().verbose) printf("%s, D %ld: %s %.2f units\n", table->name, static_cast<long>(columns), what, units);
        if (!(units <= most)) {
          fail(format("%s, D %ld: the error of %s is %g units of 2^-24", table->name, static_cast<long>(columns), what, units));
        }
      };
      check("output", got.output, forward.output);
      check("logSumExp", got.log_sum_exp, forward.log_sum_exp);
      check("dQ", back.query, gradients.query);
      check("dK", back.key, gradients.key);
      check("dV", back.value, gradients.value);
    }
  }
}

/** Few queries for the rows of a head that fill tiles, or not; keys that end within a tile, a block, or a stretch. */
TFXF_TEST(decoding, "precision/attention/decoding in bfloat16 has weights of 16 bits") {
  struct Sizes {
    int64_t queries, keys, heads, kv_heads, key_dim, value_dim, page_size = 0;
  };
  const Sizes all[] = {{1, 300, 8, 2, 128, 128}, {1, 64, 2, 2, 64, 32},   {1, 1, 4, 1, 32, 96},  {1, 17, 3, 1, 96, 64},
                       {2, 77, 12, 2, 64, 128},  {5, 200, 20, 4, 32, 32}, {3, 530, 7, 1, 64, 64}, {15, 48, 6, 2, 160, 64},
                       {1, 96, 8, 2, 64, 64, 16}, {2, 320, 4, 4, 32, 64, 32}};
  for (const Sizes& s : all) {
    AttentionProblem p;
    p.shape = {s.page_size > 0 ? 1 : 2, s.queries, s.keys, s.heads, s.kv_heads, s.key_dim, s.value_dim};
    p.dtype = DType::kBFloat16;
    p.mask.page_size = s.page_size;
    if (s.page_size > 0) {  // the last pages first; the last of them is not full
      BlockSpec block = {s.queries, 0, s.keys - 3, {}};
      for (int64_t page = s.keys / s.page_size - 1; page >= 0; page--) block.pages.push_back(static_cast<int32_t>(page));
      p.mask.blocks.push_back(block);
    }
    p.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.key_dim)));
    p.query = draw_tensor(1, size_of(query_shape(p)), p.dtype);
    p.key = draw_tensor(2, size_of(key_shape(p)), p.dtype);
    p.value = draw_tensor(3, size_of(value_shape(p)), p.dtype);
    p.doutput = draw_tensor(4, size_of(output_shape(p)));
    const AttentionForward forward = reference_forward(p);
    const AttentionMemory memory(p);
    for (const KernelTable* table : tables()) {
      const double units = relative_error(memory.forward(*table, in_turns(2)).output, forward.output) / kUnit;
      if (options().verbose) printf("%s, %s: %.2f units\n", table->name, describe(p).c_str(), units);
      // Weights of 8 bits: 20,000.
      if (!(units <= 64.0)) fail(format("%s, %s: the error is %g units of 2^-24", table->name, describe(p).c_str(), units));
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
