// SPDX-License-Identifier: Apache-2.0
/** Attention of float32 is as accurate as float32, however products are taken: by registers, or in three terms on tiles. */
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

TFXF_TEST(float32, "precision/attention/errors of float32 are those of sums of float32") {
  constexpr double kUnit = 1.0 / (1 << 24);
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

}  // namespace
}  // namespace test
}  // namespace tfxf
