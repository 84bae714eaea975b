// SPDX-License-Identifier: Apache-2.0
/** cuda/launch.h: what it refuses, in words, before anything is enqueued; and what it enqueues. */
#include "cuda/launch.h"

#include <cstring>

#include "tests/cuda/stand_in_call.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

/** A device on the stand-in. */
struct Ready {
  StandInScope stand_in;
  cuda::Driver driver;
  cuda::Error error;
  cuda::Device* device;

  Ready() {
    cuda::open_driver(driver, stand_in.path());
    device = cuda::ready_device(driver, 0, error);
    stand_in->records = true;
  }

  void expect_refused(bool done, const char* why) {
    TFXF_CHECK(!done && error.failed);
    if (strstr(error.text, why) == nullptr) fail(format("the error is '%s', not '%s'", error.text, why));
    for (const std::string& call : stand_in->calls) TFXF_CHECK(call.find("cuLaunchKernel") == std::string::npos);
    error = cuda::Error();
  }
  int launches(const char* part) const {
    int count = 0;
    for (const std::string& call : stand_in->calls) {
      count += call.find("cuLaunchKernel") == 0 && call.find(part) != std::string::npos ? 1 : 0;
    }
    return count;
  }
};

AttentionForwardArgs attention(float* memory, const AttentionShape& shape) {
  AttentionForwardArgs args = {};
  args.common.shape = shape;
  args.common.query = contiguous_heads(memory, DType::kFloat32, shape.queries, shape.heads, shape.key_dim);
  args.common.key = contiguous_heads(memory, DType::kFloat32, shape.keys, shape.kv_heads, shape.key_dim);
  args.common.value = contiguous_heads(memory, DType::kFloat32, shape.keys, shape.kv_heads, shape.value_dim);
  args.output = args.log_sum_exp = memory;
  return args;
}

TFXF_TEST(attention_refused, "cuda/launch/attention refuses what its kernels cannot run") {
  Ready ready;
  float memory[64] = {};
  const AttentionShape shape = {1, 2, 2, 2, 1, 4, 4};
  const auto refuses = [&](const char* why, void (*change)(AttentionForwardArgs&)) {
    AttentionForwardArgs args = attention(memory, shape);
    change(args);
    ready.expect_refused(cuda::attention_forward(*ready.device, args, ready.error), why);
  };
  refuses("head dims are 257 and 4", [](AttentionForwardArgs& a) { a.common.shape.key_dim = 257; });
  refuses("head dims are 4 and 0", [](AttentionForwardArgs& a) { a.common.shape.value_dim = 0; });
  refuses("no multiple", [](AttentionForwardArgs& a) { a.common.shape.heads = 3, a.common.shape.kv_heads = 2; });
  refuses("is too long", [](AttentionForwardArgs& a) { a.common.shape.keys = int64_t{1} << 31; });
  refuses("scale is nan", [](AttentionForwardArgs& a) { a.common.scale = __builtin_nanf(""); });
  refuses("key has no memory", [](AttentionForwardArgs& a) { a.common.key.data = nullptr; });
  refuses("another dtype", [](AttentionForwardArgs& a) { a.common.value.dtype = DType::kBFloat16; });
  refuses("the bias has no memory", [](AttentionForwardArgs& a) { a.common.bias.kind = BiasKind::kFloat; });
  refuses("batch size 1", [](AttentionForwardArgs& a) { a.common.mask.num_blocks = 1, a.common.shape.batch = 2; });
  refuses("output or log_sum_exp", [](AttentionForwardArgs& a) { a.log_sum_exp = nullptr; });
  refuses("not aligned", [](AttentionForwardArgs& a) {
    a.common.query.data = static_cast<const char*>(a.common.query.data) + 1;
  });
}

TFXF_TEST(norm_refused, "cuda/launch/norms refuse what has no memory") {
  Ready ready;
  NormForwardArgs args = {};
  args.rows = 2;
  args.columns = 4;
  ready.expect_refused(cuda::norm_forward(*ready.device, args, ready.error), "stats has no memory");
  NormBackwardArgs gradient = {};
  gradient.rows = 2;
  gradient.columns = 4;
  ready.expect_refused(cuda::norm_backward(*ready.device, gradient, ready.error), "x, dy, stats or dx");
  ready.expect_refused(cuda::pack_bfloat16(*ready.device, {1, 4, nullptr, nullptr}, ready.error), "x or y");
}

TFXF_TEST(splits, "cuda/launch/keys are split for few queries, and not for many") {
  Ready ready;
  const AttentionShape few = {1, 1, 1000, 2, 1, 64, 64}, many = {1, 64, 64, 12, 12, 64, 64};
  std::vector<float> memory(64 * 1000);
  AttentionForwardArgs args = attention(memory.data(), few);
  std::vector<float> output(2 * 64), sums(2);
  args.output = output.data();
  args.log_sum_exp = sums.data();
  std::vector<char> workspace(static_cast<size_t>(cuda::attention_forward_workspace(*ready.device, args.common)));
  TFXF_CHECK(workspace.size() > 0);
  args.workspace = workspace.data();
  TFXF_CHECK(cuda::attention_forward(*ready.device, args, ready.error));
  TFXF_CHECK(ready.launches("tfxf_attention_forward_f32_64_full 12 ") == 1 && ready.launches("tfxf_attention_combine") == 1);
  TFXF_CHECK(cuda::attention_forward_workspace(*ready.device, attention(memory.data(), many).common) == 0);
}

TFXF_TEST(empty, "cuda/launch/calls without elements launch nothing") {
  Ready ready;
  AttentionForwardArgs args = {};
  args.common.shape = {0, 5, 7, 2, 1, 8, 8};
  TFXF_CHECK(cuda::attention_forward(*ready.device, args, ready.error));
  NormForwardArgs norm = {};
  norm.columns = 8;
  TFXF_CHECK(cuda::norm_forward(*ready.device, norm, ready.error));
  TFXF_CHECK(ready.launches("") == 0);
}

}  // namespace
}  // namespace test
}  // namespace tfxf
