// SPDX-License-Identifier: Apache-2.0
/** Which kernel serves attention forward: warpgroups where the device, the driver and the call allow it, else mma.sync. */
#include <cstring>

#include "cuda/launch.h"
#include "tests/attention_call.h"
#include "tests/attention_draw.h"
#include "tests/cuda/cuda_table.h"
#include "tests/cuda/stand_in_call.h"
#include "tests/runner.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

/** One call on a stand-in: 20 queries and keys of one head of 16. */
struct Choice {
  const StandInScope stand_in;
  cuda::Driver driver;
  cuda::Error error;
  cuda::Device* device;
  alignas(64) uint16_t memory[4096] = {};
  float sums[64] = {};
  std::vector<char> workspace;
  AttentionForwardArgs args = {};

  explicit Choice(const std::string& kind = "", int major = 9, int minor = 0) : stand_in(kind) {
    stand_in->major = major;
    stand_in->minor = minor;
    cuda::open_driver(driver, stand_in.path());
    device = cuda::ready_device(driver, 0, error);
    args.common.shape = {1, 20, 20, 1, 1, 16, 16};
    args.common.query = contiguous_heads(memory, DType::kBFloat16, 20, 1, 16);
    args.common.key = args.common.value = args.common.query;
    args.output = memory + 2048;
    args.output_dtype = DType::kBFloat16;
    args.log_sum_exp = sums;
  }
  /** The kernel that ran. */
  std::string kernel() {
    workspace.resize(static_cast<size_t>(cuda::attention_forward_workspace(*device, args.common)));
    args.workspace = workspace.data();
    TFXF_CHECK(cuda::attention_forward(*device, args, error));
    if (error.failed) fail(error.text);
    for (const auto& launched : stand_in->launched) {
      if (launched.first.find("attention_forward") != std::string::npos) return launched.first;
    }
    return "none";
  }
};

void expect_kernel(Choice& choice, const char* what, const char* name) {
  const std::string got = choice.kernel();
  if (got != std::string("tfxf_attention_forward_") + name) fail(format("%s: %s ran, not %s", what, got.c_str(), name));
  for (const float sum : choice.sums) TFXF_CHECK(sum == 0.0f || (sum > 2.99f && sum < 3.0f));  // log 20
}

TFXF_TEST(devices, "cuda/choice/only compute capability 9.0 with a driver that makes tensor maps") {
  Choice hopper, ampere("", 8, 0), ada("", 8, 9), blackwell("", 10, 0), old("_old"), switched_off;
  expect_kernel(hopper, "9.0", "wgmma_64");
  expect_kernel(ampere, "8.0", "bf16_64_plain");
  expect_kernel(ada, "8.9", "bf16_64_plain");
  expect_kernel(blackwell, "10.0", "bf16_64_plain");
  expect_kernel(old, "a driver without maps", "bf16_64_plain");
  switched_off.device->has_wgmma = false;
  expect_kernel(switched_off, "switched off", "bf16_64_plain");
}

TFXF_TEST(refused_map, "cuda/choice/a map that the driver refuses is no error") {
  for (int n = 0; n < 3; n++) {
    Choice choice;
    choice.stand_in->failing = "cuTensorMapEncodeTiled";
    choice.stand_in->passing = n;
    expect_kernel(choice, "refused", "bf16_64_plain");
    TFXF_CHECK(choice.stand_in->failing.empty());
  }
}

TFXF_TEST(calls, "cuda/choice/calls that have more, or tensors that are not aligned") {
  const auto chooses = [](const char* what, const char* kernel, void (*change)(Choice&)) {
    Choice choice;
    change(choice);
    expect_kernel(choice, what, kernel);
  };
  chooses("as it is", "wgmma_64", [](Choice&) {});
  chooses("a sink", "wgmma_64", [](Choice& c) {
    static const float sink = -1e4f;
    c.args.common.sink = &sink;
  });
  chooses("a softcap", "bf16_64_full", [](Choice& c) { c.args.common.softcap = 2.0f; });
  chooses("a scale of 0", "bf16_64_full", [](Choice& c) { c.args.common.scale = 0.0f; });
  chooses("a bias", "bf16_64_full", [](Choice& c) {
    static const float zero = 0.0f;
    c.args.common.bias = {BiasKind::kFloat, &zero, 0, 0, 0, 0};
  });
  chooses("few queries", "bf16_64_plain", [](Choice& c) { c.args.common.shape.queries = 16; });
  chooses("a query that begins anywhere", "bf16_64_plain", [](Choice& c) { c.args.common.query.data = c.memory + 2; });
  chooses("a value that begins anywhere", "bf16_64_plain", [](Choice& c) { c.args.common.value.data = c.memory + 4; });
  chooses("rows of keys that begin anywhere", "bf16_64_plain", [](Choice& c) { c.args.common.key.row_stride = 20; });
  chooses("one row for all keys", "bf16_64_plain", [](Choice& c) { c.args.common.key.row_stride = 0; });
  chooses("rows backwards", "bf16_64_plain", [](Choice& c) {
    c.args.common.key.data = c.memory + 19 * 16;
    c.args.common.key.row_stride = -16;
  });
  chooses("rows apart", "wgmma_64", [](Choice& c) { c.args.common.key.row_stride = 24; });
  chooses("any step along an axis of one", "wgmma_64", [](Choice& c) { c.args.common.key.head_stride = 3; });
}

TFXF_TEST(dims, "cuda/choice/head dims up to 64, 128 and 256") {
  struct Row {
    int64_t key_dim, value_dim;
    const char* kernel;
  };
  for (const Row& row : {Row{8, 8, "wgmma_64"}, Row{64, 72, "wgmma_128"}, Row{128, 16, "wgmma_128"}, Row{136, 8, "wgmma_256"}}) {
    Choice choice;
    choice.args.common.shape = {1, 17, 4, 1, 1, row.key_dim, row.value_dim};
    choice.args.common.query = contiguous_heads(choice.memory, DType::kBFloat16, 17, 1, row.key_dim);
    choice.args.common.key = contiguous_heads(choice.memory, DType::kBFloat16, 4, 1, row.key_dim);
    choice.args.common.value = contiguous_heads(choice.memory, DType::kBFloat16, 4, 1, row.value_dim);
    choice.args.output = choice.memory + 2400;
    const std::string got = choice.kernel();
    if (got.find(row.kernel) == std::string::npos) fail(format("%s ran, not %s", got.c_str(), row.kernel));
  }
}

TFXF_TEST(reached, "cuda/choice/plain problems of the suites reach the kernel of warpgroups") {
  int count = 0;
  const StandInScope stand_in;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    DrawOptions draw;
    draw.plain = true;
    draw.work = 200000;
    const AttentionProblem p = draw_problem(seed, draw);
    if (p.shape.batch * p.shape.keys == 0) continue;
    count++;
    AttentionMemory(p).forward(cuda_table(test_device()), in_turns(1));
  }
  int launched = 0;
  for (const auto& kernel : stand_in->launched) launched += kernel.first.find("_wgmma_") != std::string::npos ? kernel.second : 0;
  if (launched != count || count < 30) fail(format("%d of %d", launched, count));
}

}  // namespace
}  // namespace test
}  // namespace tfxf
