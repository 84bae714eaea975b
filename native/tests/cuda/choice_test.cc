// SPDX-License-Identifier: Apache-2.0
/** Which kernels serve attention: warpgroups where the device, the driver and the call allow it, else mma.sync. */
#include <cmath>
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

/** One call on a stand-in, and its gradients: 20 queries and keys of one head of 16. */
struct Choice {
  const StandInScope stand_in;
  cuda::Driver driver;
  cuda::Error error;
  cuda::Device* device;
  alignas(64) uint16_t memory[4096] = {};
  float sums[64] = {};
  std::vector<char> workspace;
  std::vector<float> zeros = std::vector<float>(4096), gradients = std::vector<float>(3 * 4096);
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
  bool run_backward() {
    AttentionBackwardArgs back = {};
    back.common = args.common;
    back.doutput = zeros.data();
    back.output = args.output;
    back.output_dtype = args.output_dtype;
    back.log_sum_exp = sums;
    back.dquery = gradients.data();
    back.dkey = back.dquery + 4096;
    back.dvalue = back.dkey + 4096;
    workspace.resize(static_cast<size_t>(cuda::attention_backward_workspace(back)) + 256);
    const uintptr_t place = reinterpret_cast<uintptr_t>(workspace.data());
    back.workspace = reinterpret_cast<void*>((place + 255) / 256 * 256 + workspace_offset);
    return cuda::attention_backward(*device, back, error);
  }
  uintptr_t workspace_offset = 0;
  /** Gradients that were written, of an output gradient of zeros; what is behind them was not. */
  void expect_zeros(size_t begin, int64_t count) const {
    const size_t end = begin + static_cast<size_t>(count);
    for (size_t n = begin; n < end; n++) TFXF_CHECK(gradients[n] == 0.0f);
    for (size_t n = end; n < begin + 4096; n++) TFXF_CHECK(std::isnan(gradients[n]));
  }
  /** The kernels of dK, dV and dQ that ran, in the order of their names. */
  std::string gradient_kernels() {
    stand_in->launched.clear();
    gradients.assign(gradients.size(), NAN);
    TFXF_CHECK(run_backward());
    if (error.failed) fail(error.text);
    const AttentionShape& s = args.common.shape;
    expect_zeros(0, s.queries * s.key_dim);
    expect_zeros(4096, s.keys * s.key_dim);
    expect_zeros(2 * 4096, s.keys * s.value_dim);
    std::string names;
    for (const auto& launched : stand_in->launched) {
      const std::string name = launched.first.substr(strlen("tfxf_attention_"));
      if (name.compare(0, 2, "dk") == 0 || name.compare(0, 2, "dv") == 0 || name.compare(0, 2, "dq") == 0) names += name + ' ';
    }
    return names;
  }
};

void expect_gradients(Choice& choice, const char* what, const std::string& names) {
  const std::string got = choice.gradient_kernels();
  if (got != names) fail(format("%s: %sran, not %s", what, got.c_str(), names.c_str()));
}

void expect_forward(Choice& choice, const char* what, const char* name) {
  const std::string got = choice.kernel();
  if (got != std::string("tfxf_attention_forward_") + name) fail(format("%s: %s ran, not %s", what, got.c_str(), name));
  for (const float sum : choice.sums) TFXF_CHECK(sum == 0.0f || (sum > 2.99f && sum < 3.0f));  // log 20
}

/** Forward, and so backward. */
void expect_kernel(Choice& choice, const char* what, const char* name) {
  expect_forward(choice, what, name);
  const bool by_groups = strstr(name, "wgmma") != nullptr;
  expect_gradients(choice, what, by_groups ? "dkeys_wgmma_64 dquery_wgmma_64 " : "dkeys_bf16_64 dquery_bf16_64 ");
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
    expect_forward(choice, "refused", "bf16_64_plain");
    TFXF_CHECK(choice.stand_in->failing.empty());
  }
  for (int n = 0; n < 8; n++) {
    Choice choice;
    choice.kernel();
    choice.stand_in->failing = "cuTensorMapEncodeTiled";
    choice.stand_in->passing = n;
    expect_gradients(choice, "refused", "dkeys_bf16_64 dquery_bf16_64 ");
    TFXF_CHECK(choice.stand_in->failing.empty());
  }
}

TFXF_TEST(odd_workspace, "cuda/choice/gradients in a workspace where doutput is not aligned") {
  Choice choice;
  choice.kernel();
  choice.workspace_offset = 8;
  expect_gradients(choice, "not aligned", "dkeys_bf16_64 dquery_bf16_64 ");
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
    const char *kernel, *gradients;
  };
  const char *const narrow = "dkeys_wgmma_64 dquery_wgmma_64 ", *const middle = "dkeys_wgmma_128 dquery_wgmma_128 ";
  for (const Row& row : {Row{8, 8, "wgmma_64", narrow}, Row{64, 72, "wgmma_128", middle}, Row{128, 16, "wgmma_128", middle},
                         Row{136, 8, "wgmma_256", "dkey_wgmma_256 dquery_wgmma_256 dvalue_wgmma_256 "}}) {
    Choice choice;
    choice.args.common.shape = {1, 17, 4, 1, 1, row.key_dim, row.value_dim};
    choice.args.common.query = contiguous_heads(choice.memory, DType::kBFloat16, 17, 1, row.key_dim);
    choice.args.common.key = contiguous_heads(choice.memory, DType::kBFloat16, 4, 1, row.key_dim);
    choice.args.common.value = contiguous_heads(choice.memory, DType::kBFloat16, 4, 1, row.value_dim);
    choice.args.output = choice.memory + 2400;
    const std::string got = choice.kernel();
    if (got.find(row.kernel) == std::string::npos) fail(format("%s ran, not %s", got.c_str(), row.kernel));
    expect_gradients(choice, row.kernel, row.gradients);
  }
}

TFXF_TEST(reached, "cuda/choice/plain problems of the suites reach the kernels of warpgroups") {
  int count = 0, gradients = 0;
  const StandInScope stand_in;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    DrawOptions draw;
    draw.plain = true;
    draw.work = 200000;
    const AttentionProblem p = draw_problem(seed, draw);
    if (p.shape.batch * p.shape.keys == 0) continue;
    count++;
    gradients += p.wants_inputs ? 1 : 0;
    const AttentionMemory memory(p);
    const KernelTable& table = cuda_table(test_device());
    memory.backward(table, in_turns(1), memory.forward(table, in_turns(1)));
  }
  const auto launched = [&](const char* part) {
    int sum = 0;
    for (const auto& kernel : stand_in->launched) sum += kernel.first.find(part) != std::string::npos ? kernel.second : 0;
    return sum;
  };
  const int forward = launched("_forward_wgmma_"), dquery = launched("_dquery_wgmma_");
  const int dkey = launched("_dkeys_wgmma_") + launched("_dkey_wgmma_");
  if (forward != count || count < 30) fail(format("forward: %d of %d", forward, count));
  if (dquery != gradients || dkey != gradients || gradients < 25) {
    fail(format("gradients: %d and %d of %d", dquery, dkey, gradients));
  }
  TFXF_CHECK(launched("_dvalue_wgmma_256") == launched("_dkey_wgmma_256") && launched("_dvalue_wgmma_256") > 3);
  TFXF_CHECK(launched("_dkeys_wgmma_128") > 3 && launched("_dkeys_wgmma_64") > 3);
}

}  // namespace
}  // namespace test
}  // namespace tfxf
