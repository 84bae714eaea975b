// SPDX-License-Identifier: Apache-2.0
/**
 * Attention forward: which kernel, how query heads are packed, how keys are split.
 *
 * With up to kFewQueries queries in a sequence the heads of a group share a tile. If tiles, heads and batch items are
 * fewer blocks than the device has multiprocessors, the keys are split among more blocks, each of which writes float32
 * sums that attention_combine joins.
 */
#include "cuda/attention_call.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace tfxf {
namespace cuda {
namespace {

constexpr int64_t kFewQueries = 16, kMostSplits = 64, kLeastTilesOfSplit = 2;

struct ForwardKernel {
  KernelId id;
  int rows, keys;
};

#define TFXF_FORWARD_OF(type, element, dim, kind, plain)                                                     \
  {kKernel_attention_forward_##type##_##dim##_##kind, ForwardTiles<element, dim, plain>::kRows, \
   ForwardTiles<element, dim, plain>::kStreamed}
#define TFXF_FORWARDS(type, element, kind, plain)                                                    \
  {TFXF_FORWARD_OF(type, element, 64, kind, plain), TFXF_FORWARD_OF(type, element, 128, kind, plain), \
   TFXF_FORWARD_OF(type, element, 256, kind, plain)}

ForwardKernel forward_kernel(const AttentionArgs& args) {
  static const ForwardKernel plain[] = TFXF_FORWARDS(bf16, BFloat16, plain, true);
  static const ForwardKernel full[] = TFXF_FORWARDS(bf16, BFloat16, full, false);
  static const ForwardKernel wide[] = TFXF_FORWARDS(f32, float, full, false);
  const int index = dim_index(args.shape);
  if (args.query.dtype == DType::kFloat32) return wide[index];
  const bool is_plain = args.bias.kind == BiasKind::kNone && args.softcap == 0.0f && args.dropout.threshold == 0 &&
                        args.scale > 0.0f;
  return is_plain ? plain[index] : full[index];
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct ForwardPlan {
  ForwardKernel kernel;
  int64_t pack, tiles, blocks, splits;
  MaskLists lists;
  float *partial_output, *partial_log_sum_exp;
};

int64_t splits_of(const Device& device, int64_t blocks, int64_t key_tiles) {
  if (blocks == 0 || blocks >= device.multiprocessors) return 1;
  int64_t splits = ceil_div(2 * device.multiprocessors, blocks);
  const int64_t most = key_tiles / kLeastTilesOfSplit;
  if (splits > most) splits = most;
  if (splits > kMostSplits) splits = kMostSplits;
  return splits < 1 ? 1 : splits;
}

ForwardPlan plan_forward(const Device& device, const AttentionArgs& args, Workspace& workspace) {
  const AttentionShape& s = args.shape;
  const MaskSizes sizes = mask_sizes(args.mask, s);
  ForwardPlan plan = {};
  plan.kernel = forward_kernel(args);
  const int64_t group = s.heads / s.kv_heads;
  plan.pack = sizes.longest_queries <= kFewQueries ? group : 1;
  plan.tiles = count_query_tiles(args.mask, s, plan.kernel.rows, plan.pack);
  plan.blocks = plan.tiles * (s.heads / plan.pack) * s.batch;
  plan.splits = splits_of(device, plan.blocks, ceil_div(sizes.longest_keys, plan.kernel.keys));
  plan.lists = take_mask_lists(workspace, args.mask, sizes, plan.tiles, 0);
  if (plan.splits > 1) {
    const int64_t rows = plan.splits * s.batch * s.queries * s.heads;
    plan.partial_output = workspace.take<float>(rows * s.value_dim);
    plan.partial_log_sum_exp = workspace.take<float>(rows);
  }
  return plan;
}

}  // namespace

int64_t attention_forward_workspace(const Device& device, const AttentionArgs& args) {
  Workspace workspace(nullptr);
  plan_forward(device, args, workspace);
  return workspace.bytes();
}

bool attention_forward(Device& device, const AttentionForwardArgs& args, Error& error) {
  const AttentionArgs& common = args.common;
  const AttentionShape& s = common.shape;
  if (!check_attention(common, error)) return false;
  const int64_t rows = s.batch * s.queries * s.heads;
  if (rows == 0) return true;
  if (args.output == nullptr || args.log_sum_exp == nullptr) return error.fail("output or log_sum_exp has no memory");
  Workspace workspace(args.workspace);
  const ForwardPlan plan = plan_forward(device, common, workspace);
  if (workspace.bytes() > 0 && args.workspace == nullptr) return error.fail("there is no workspace");
  AttentionForwardParams params = {};
  params.common = attention_params(common);
  if (!send_mask(device, common.mask, s, plan.lists, {plan.kernel.rows, plan.pack, 0}, params.common.mask, error)) {
    return false;
  }
  params.common.pack = static_cast<int32_t>(plan.pack);
  params.common.tiles = static_cast<int32_t>(plan.tiles);
  params.common.splits = static_cast<int32_t>(plan.splits);
  params.output = args.output;
  params.output_is_bf16 = args.output_dtype == DType::kBFloat16 ? 1 : 0;
  params.log_sum_exp = args.log_sum_exp;
  params.partial_output = plan.partial_output;
  params.partial_log_sum_exp = plan.partial_log_sum_exp;
  if (!launch(device, plan.kernel.id, plan.blocks * plan.splits, &params, error)) return false;
  if (plan.splits == 1) return true;
  return launch(device, kKernel_attention_combine, ceil_div(rows, RowWarps::kRows), &params, error);
}

}  // namespace cuda
}  // namespace tfxf
