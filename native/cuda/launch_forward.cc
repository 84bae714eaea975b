// SPDX-License-Identifier: Apache-2.0
/**
 * Attention forward: which kernel, how query heads are packed, how keys are split.
 *
 * With up to kFewQueries queries in a sequence the heads of a group share a tile. If tiles, heads and batch items are
 * fewer blocks than the device has multiprocessors, the keys are split among more blocks, each of which writes float32
 * sums that attention_combine joins.
 *
 * On compute capability 9.0 calls that attention_forward_wgmma.h can serve go there, unless the driver refuses a tensor
 * map: so a workspace has room for either kernel.
 */
#include <algorithm>

#include "cuda/attention_call.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/tensor_maps.h"

namespace tfxf {
namespace cuda {
namespace {

constexpr int64_t kMostSplits = 64, kLeastTilesOfSplit = 2;

/** `blocks` of it fill a multiprocessor. */
struct ForwardKernel {
  KernelId id;
  int rows, keys, blocks;
};

#define TFXF_FORWARD_OF(type, element, dim, kind, plain)                                                     \
  {kKernel_attention_forward_##type##_##dim##_##kind, ForwardTiles<element, dim, plain>::kRows, \
   ForwardTiles<element, dim, plain>::kStreamed, 2}
#define TFXF_FORWARDS(type, element, kind, plain)                                                    \
  {TFXF_FORWARD_OF(type, element, 64, kind, plain), TFXF_FORWARD_OF(type, element, 128, kind, plain), \
   TFXF_FORWARD_OF(type, element, 256, kind, plain)}

#define TFXF_WGMMA_OF(dim) \
  {kKernel_attention_forward_wgmma_##dim, WarpgroupTiles<dim>::kRows, WarpgroupTiles<dim>::kStreamed, 1}

ForwardKernel forward_kernel(const AttentionArgs& args) {
  static const ForwardKernel plain[] = TFXF_FORWARDS(bf16, BFloat16, plain, true);
  static const ForwardKernel full[] = TFXF_FORWARDS(bf16, BFloat16, full, false);
  static const ForwardKernel wide[] = TFXF_FORWARDS(f32, float, full, false);
  const int index = dim_index(args.shape);
  if (args.query.dtype == DType::kFloat32) return wide[index];
  return is_plain(args) ? plain[index] : full[index];
}

ForwardKernel wgmma_kernel(const AttentionArgs& args) {
  static const ForwardKernel kernels[] = {TFXF_WGMMA_OF(64), TFXF_WGMMA_OF(128), TFXF_WGMMA_OF(256)};
  return kernels[dim_index(args.shape)];
}

bool make_maps(const Device& device, const AttentionArgs& args, const ForwardKernel& kernel,
               AttentionForwardMapsParams& params) {
  const AttentionShape& s = args.shape;
  return make_map(device, args.query, query_sizes(s, s.key_dim), kernel.rows, params.query) &&
         make_map(device, args.key, key_sizes(s, s.key_dim), kernel.keys, params.key) &&
         make_map(device, args.value, key_sizes(s, s.value_dim), kernel.keys, params.value);
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct ForwardPlan {
  ForwardKernel kernel;
  int64_t pack, tiles, blocks, splits;
  MaskLists lists;
  float *partial_output, *partial_log_sum_exp;
};

int64_t splits_of(const Device& device, const ForwardKernel& kernel, int64_t blocks, int64_t key_tiles) {
  if (blocks == 0 || blocks >= device.multiprocessors) return 1;
  int64_t splits = kernel.blocks * device.multiprocessors / blocks;
  const int64_t most = key_tiles / kLeastTilesOfSplit;
  if (splits > most) splits = most;
  if (splits > kMostSplits) splits = kMostSplits;
  return splits < 1 ? 1 : splits;
}

/** Heads that have their keys and values in the L2 cache together. */
int64_t forward_heads_together(const AttentionArgs& args, int64_t pack) {
  const AttentionShape& s = args.shape;
  const int64_t bytes = s.keys * (s.key_dim + s.value_dim) * element_bytes(args.key.dtype), heads = s.heads / pack;
  return heads_together(args, heads, heads / s.kv_heads, bytes);
}

ForwardPlan plan_forward(const Device& device, const AttentionArgs& args, const ForwardKernel& kernel,
                         Workspace& workspace) {
  const AttentionShape& s = args.shape;
  const MaskSizes sizes = mask_sizes(args.mask, s);
  ForwardPlan plan = {};
  plan.kernel = kernel;
  const int64_t group = s.heads / s.kv_heads;
  plan.pack = sizes.longest_queries <= kFewQueries ? group : 1;
  plan.tiles = count_query_tiles(args.mask, s, kernel.rows, plan.pack);
  plan.blocks = plan.tiles * (s.heads / plan.pack) * s.batch;
  plan.splits = splits_of(device, kernel, plan.blocks, ceil_div(sizes.longest_keys, kernel.keys));
  plan.lists = take_mask_lists(workspace, args.mask, sizes, plan.tiles, 0);
  if (plan.splits > 1) {
    const int64_t rows = plan.splits * s.batch * s.queries * s.heads;
    plan.partial_output = workspace.take<float>(rows * s.value_dim);
    plan.partial_log_sum_exp = workspace.take<float>(rows);
  }
  return plan;
}

int64_t workspace_of(const Device& device, const AttentionArgs& args, const ForwardKernel& kernel) {
  Workspace workspace(nullptr);
  plan_forward(device, args, kernel, workspace);
  return workspace.bytes();
}

}  // namespace

int64_t attention_forward_workspace(const Device& device, const AttentionArgs& args) {
  const int64_t bytes = workspace_of(device, args, forward_kernel(args));
  return fits_wgmma(device, args) ? std::max(bytes, workspace_of(device, args, wgmma_kernel(args))) : bytes;
}

bool attention_forward(Device& device, const AttentionForwardArgs& args, Error& error) {
  const AttentionArgs& common = args.common;
  const AttentionShape& s = common.shape;
  if (!check_attention(common, error)) return false;
  const int64_t rows = s.batch * s.queries * s.heads;
  if (rows == 0) return true;
  if (args.output == nullptr || args.log_sum_exp == nullptr) return error.fail("output or log_sum_exp has no memory");
  AttentionForwardMapsParams params = {};
  const bool by_groups = fits_wgmma(device, common) && make_maps(device, common, wgmma_kernel(common), params);
  Workspace workspace(args.workspace);
  const ForwardPlan plan =
      plan_forward(device, common, by_groups ? wgmma_kernel(common) : forward_kernel(common), workspace);
  if (workspace.bytes() > 0 && args.workspace == nullptr) return error.fail("there is no workspace");
  AttentionForwardParams& call = params.call;
  call.common = attention_params(common);
  if (!send_mask(device, common.mask, s, plan.lists, {plan.kernel.rows, plan.pack, 0}, call.common.mask, error)) {
    return false;
  }
  call.common.pack = static_cast<int32_t>(plan.pack);
  call.common.tiles = static_cast<int32_t>(plan.tiles);
  call.common.together = static_cast<int32_t>(forward_heads_together(common, plan.pack));
  call.common.splits = static_cast<int32_t>(plan.splits);
  call.output = args.output;
  call.output_is_bf16 = args.output_dtype == DType::kBFloat16 ? 1 : 0;
  call.output_in_chunks = plan.splits == 1 && call.output_is_bf16 != 0 && s.value_dim % 8 == 0 &&
                                  reinterpret_cast<uintptr_t>(args.output) % 16 == 0
                              ? 1
                              : 0;
  call.log_sum_exp = args.log_sum_exp;
  call.partial_output = plan.partial_output;
  call.partial_log_sum_exp = plan.partial_log_sum_exp;
  const int64_t places = plan.blocks * plan.splits;
  if (by_groups) {
    params.places = share_out(device, places);
    if (!launch(device, plan.kernel.id, params.places.blocks, &params, error)) return false;
  } else if (!launch(device, plan.kernel.id, places, &call, error)) {
    return false;
  }
  if (plan.splits == 1) return true;
  return launch(device, kKernel_attention_combine, ceil_div(rows, RowWarps::kRows), &call, error);
}

}  // namespace cuda
}  // namespace tfxf
