// SPDX-License-Identifier: Apache-2.0
/**
 * Attention backward: delta (and dO in bfloat16), then the gradients that are wanted, each by a kernel of its own.
 * Of paged keys dK and dV are written for each (block, key) into the workspace first, and added up for each row then.
 *
 * On compute capability 9.0 dQ, dK and dV of calls that the forward kernel of warpgroups serves come from kernels of
 * warpgroups, unless the driver refuses a tensor map: so a workspace has room for either.
 */
#include <algorithm>

#include "cuda/attention_call.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace tfxf {
namespace cuda {
namespace {

struct BackwardKernels {
  KernelId dquery, dkey, dvalue, dbias;  // dkey and dvalue are one where a kernel computes both
  int query_rows, key_rows;             // of a block of dquery, and of dkey and dvalue
  int streamed_keys, streamed_queries;  // past these
  bool by_groups;  // then there is no dbias
};

#define TFXF_BACKWARD_OF(type, element, dim, dkey, dvalue)                                                         \
  {kKernel_attention_dquery_##type##_##dim, kKernel_attention_##dkey##_##type##_##dim,                             \
   kKernel_attention_##dvalue##_##type##_##dim, kKernel_attention_dbias_##type##_##dim,                            \
   BackwardTiles<element, dim>::kRows, BackwardTiles<element, dim>::kRows, BackwardTiles<element, dim>::kStreamed, \
   BackwardTiles<element, dim>::kStreamed, false}
#define TFXF_BACKWARDS(type, element)                                                                        \
  {TFXF_BACKWARD_OF(type, element, 64, dkeys, dkeys), TFXF_BACKWARD_OF(type, element, 128, dkeys, dkeys),     \
   TFXF_BACKWARD_OF(type, element, 256, dkey, dvalue)}
#define TFXF_BACKWARD_WGMMA_OF(dim, dkey, dvalue)                                                                \
  {kKernel_attention_dquery_wgmma_##dim, kKernel_attention_##dkey##_wgmma_##dim,                                 \
   kKernel_attention_##dvalue##_wgmma_##dim, -1, WarpgroupDQueryTiles<dim>::kRows,                               \
   WarpgroupDKeysTiles<dim>::kRows, WarpgroupDQueryTiles<dim>::kStreamed, WarpgroupDKeysTiles<dim>::kStreamed, true}

BackwardKernels backward_kernels(const AttentionArgs& args) {
  static const BackwardKernels narrow[] = TFXF_BACKWARDS(bf16, BFloat16);
  static const BackwardKernels wide[] = TFXF_BACKWARDS(f32, float);
  const int index = dim_index(args.shape);
  return args.query.dtype == DType::kFloat32 ? wide[index] : narrow[index];
}

BackwardKernels wgmma_kernels(const AttentionArgs& args) {
  static const BackwardKernels kernels[] = {TFXF_BACKWARD_WGMMA_OF(64, dkeys, dkeys),
                                            TFXF_BACKWARD_WGMMA_OF(128, dkeys, dkeys),
                                            TFXF_BACKWARD_WGMMA_OF(256, dkey, dvalue)};
  return kernels[dim_index(args.shape)];
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct BackwardPlan {
  BackwardKernels kernels;
  int64_t query_tiles, key_tiles;
  bool inputs, paged;
  MaskLists lists;
  float* delta;
  uint16_t* narrowed;  // null: doutput is float32, as it came
  HeadsView doutput;
  float *dkey, *dvalue;  // of (block, key), where pages are
};

/** Elements of a row of doutput in bfloat16: rows of whole 16 bytes, which the copy engine and chunks want. */
int64_t narrowed_dim(const AttentionShape& s) { return ceil_div(s.value_dim, 8) * 8; }

BackwardPlan plan_backward(const AttentionBackwardArgs& args, const BackwardKernels& kernels, Workspace& workspace) {
  const AttentionArgs& common = args.common;
  const AttentionShape& s = common.shape;
  BackwardPlan plan = {};
  plan.kernels = kernels;
  plan.inputs = args.dquery != nullptr || args.dkey != nullptr || args.dvalue != nullptr;
  plan.paged = common.mask.page_size > 0;
  const MaskSizes sizes = mask_sizes(common.mask, s);
  plan.query_tiles = count_query_tiles(common.mask, s, kernels.query_rows, 1);
  plan.key_tiles = plan.paged ? count_key_tiles(common.mask, kernels.key_rows) : ceil_div(s.keys, kernels.key_rows);
  plan.lists = take_mask_lists(workspace, common.mask, sizes, plan.query_tiles, plan.paged ? plan.key_tiles : 0);
  const int64_t rows = s.batch * s.queries * s.heads;
  plan.delta = workspace.take<float>(rows);
  plan.doutput = contiguous_heads(args.doutput, DType::kFloat32, s.queries, s.heads, s.value_dim);
  if (common.query.dtype == DType::kBFloat16) {
    plan.narrowed = workspace.take<uint16_t>(rows * narrowed_dim(s));
    plan.doutput = contiguous_heads(plan.narrowed, DType::kBFloat16, s.queries, s.heads, narrowed_dim(s));
  }
  if (plan.paged && plan.inputs) {
    plan.dkey = workspace.take<float>(sizes.all_keys * s.kv_heads * s.key_dim);
    plan.dvalue = workspace.take<float>(sizes.all_keys * s.kv_heads * s.value_dim);
  }
  return plan;
}

bool launch_delta(Device& device, const AttentionBackwardArgs& args, const BackwardPlan& plan, Error& error) {
  const AttentionShape& s = args.common.shape;
  DeltaParams params = {};
  params.doutput = args.doutput;
  params.output = args.output;
  params.output_is_bf16 = args.output_dtype == DType::kBFloat16 ? 1 : 0;
  params.dlog_sum_exp = args.dlog_sum_exp;
  params.delta = plan.delta;
  params.narrowed = plan.narrowed;
  params.batch = static_cast<int32_t>(s.batch);
  params.queries = static_cast<int32_t>(s.queries);
  params.heads = static_cast<int32_t>(s.heads);
  params.dim = static_cast<int32_t>(s.value_dim);
  params.narrowed_dim = static_cast<int32_t>(narrowed_dim(s));
  const int64_t rows = s.batch * s.queries * s.heads;
  return launch(device, kKernel_attention_delta, ceil_div(rows, RowWarps::kRows), &params, error);
}

bool launch_page_sums(Device& device, const AttentionShape& s, const MaskParams& mask, const float* logical,
                      float* gradient, int64_t dim, Error& error) {
  const PageGradientParams params = {mask,
                                     logical,
                                     gradient,
                                     static_cast<int32_t>(s.keys),
                                     static_cast<int32_t>(s.kv_heads),
                                     static_cast<int32_t>(dim)};
  return launch(device, kKernel_attention_page_sums, s.keys, &params, error);
}

/** Of dquery's kernel, and of those of dkey and dvalue. */
struct BackwardMaps {
  AttentionBackwardMapsParams dquery, dkeys;
};

/** The maps of the kernels of warpgroups; false where the driver refuses one, or doutput has no place for one. */
bool make_maps(const Device& device, const AttentionArgs& args, const BackwardPlan& plan, BackwardMaps& maps) {
  const AttentionShape& s = args.shape;
  const BackwardKernels& kernels = plan.kernels;
  const ViewSizes query = query_sizes(s, s.key_dim), doutput = query_sizes(s, s.value_dim);
  const auto make = [&](AttentionBackwardMapsParams& params, int queries, int keys) {
    return make_map(device, args.query, query, queries, params.query) &&
           make_map(device, plan.doutput, doutput, queries, params.doutput) &&
           make_map(device, args.key, key_sizes(s, s.key_dim), keys, params.key) &&
           make_map(device, args.value, key_sizes(s, s.value_dim), keys, params.value);
  };
  return fits_map(plan.doutput, doutput) && make(maps.dquery, kernels.query_rows, kernels.streamed_keys) &&
         make(maps.dkeys, kernels.streamed_queries, kernels.key_rows);
}

bool launch_queries(Device& device, const AttentionArgs& args, const BackwardPlan& plan, AttentionBackwardParams params,
                    BackwardMaps& maps, Error& error) {
  const AttentionShape& s = args.shape;
  const int64_t blocks = plan.query_tiles * s.heads * s.batch;
  if (!plan.kernels.by_groups) return launch(device, plan.kernels.dquery, blocks, &params, error);
  const int64_t bytes = s.keys * (s.key_dim + s.value_dim) * element_bytes(args.key.dtype);
  params.common.together = static_cast<int32_t>(heads_together(args, s.heads, s.heads / s.kv_heads, bytes));
  maps.dquery.call = params;
  maps.dquery.places = share_out(device, blocks);
  return launch(device, plan.kernels.dquery, maps.dquery.places.blocks, &maps.dquery, error);
}

bool launch_keys(Device& device, const AttentionBackwardArgs& args, const BackwardPlan& plan,
                 AttentionBackwardParams params, BackwardMaps& maps, Error& error) {
  const AttentionShape& s = args.common.shape;
  params.common.tiles = static_cast<int32_t>(plan.key_tiles);
  params.common.mask.tiles = plan.lists.key_tiles;
  params.dkey = plan.paged ? plan.dkey : args.dkey;
  params.dvalue = plan.paged ? plan.dvalue : args.dvalue;
  const int64_t blocks = plan.key_tiles * s.kv_heads * s.batch;
  const BackwardKernels& kernels = plan.kernels;
  const void* call = &params;
  if (kernels.by_groups) {
    const int64_t bytes = s.queries * (s.key_dim + s.value_dim) * element_bytes(args.common.query.dtype);
    params.common.together = static_cast<int32_t>(heads_together(args.common, s.kv_heads, 1, bytes));
    maps.dkeys.call = params;
    call = &maps.dkeys;
  }
  if (!launch(device, kernels.dkey, blocks, call, error)) return false;
  if (kernels.dvalue != kernels.dkey && !launch(device, kernels.dvalue, blocks, call, error)) return false;
  if (!plan.paged) return true;
  const MaskParams& mask = params.common.mask;
  return launch_page_sums(device, s, mask, plan.dkey, args.dkey, s.key_dim, error) &&
         launch_page_sums(device, s, mask, plan.dvalue, args.dvalue, s.value_dim, error);
}

bool launch_bias(Device& device, const AttentionBackwardArgs& args, const BackwardPlan& plan,
                 AttentionBackwardParams params, Error& error) {
  for (int axis = 0; axis < 4; axis++) params.dbias_shape[axis] = static_cast<int32_t>(args.dbias_shape[axis]);
  params.dbias = args.dbias;
  const int64_t i_tiles = ceil_div(args.dbias_shape[2], plan.kernels.query_rows);
  const int64_t j_tiles = ceil_div(args.dbias_shape[3], plan.kernels.streamed_keys);
  params.dbias_tiles[0] = static_cast<int32_t>(i_tiles);
  params.dbias_tiles[1] = static_cast<int32_t>(j_tiles);
  return launch(device, plan.kernels.dbias, args.dbias_shape[0] * args.dbias_shape[1] * i_tiles * j_tiles, &params,
                error);
}

bool launch_sink(Device& device, const AttentionBackwardArgs& args, const BackwardPlan& plan, Error& error) {
  const AttentionShape& s = args.common.shape;
  const SinkGradientParams params = {args.common.sink,
                                     args.log_sum_exp,
                                     plan.delta,
                                     args.dsink,
                                     static_cast<int32_t>(s.batch),
                                     static_cast<int32_t>(s.queries),
                                     static_cast<int32_t>(s.heads)};
  return launch(device, kKernel_attention_dsink, s.heads, &params, error);
}

bool check_backward(const AttentionBackwardArgs& args, Error& error) {
  if (!check_attention(args.common, error)) return false;
  const AttentionShape& s = args.common.shape;
  const bool some = args.dquery != nullptr || args.dkey != nullptr || args.dvalue != nullptr;
  const bool all = args.dquery != nullptr && args.dkey != nullptr && args.dvalue != nullptr;
  if (some && !all && s.batch * s.queries * s.keys > 0) {
    return error.fail("of dquery, dkey and dvalue all or none are computed");
  }
  if (s.batch * s.queries == 0) return true;
  if (args.doutput == nullptr || args.output == nullptr || args.log_sum_exp == nullptr) {
    return error.fail("doutput, output or log_sum_exp has no memory");
  }
  return true;
}

}  // namespace

int64_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  Workspace workspace(nullptr), of_groups(nullptr);
  plan_backward(args, backward_kernels(args.common), workspace);
  plan_backward(args, wgmma_kernels(args.common), of_groups);
  return std::max(workspace.bytes(), of_groups.bytes());
}

bool attention_backward(Device& device, const AttentionBackwardArgs& args, Error& error) {
  const AttentionArgs& common = args.common;
  const AttentionShape& s = common.shape;
  if (!check_backward(args, error)) return false;
  if (args.workspace == nullptr && attention_backward_workspace(args) > 0) return error.fail("there is no workspace");
  Workspace of_groups(args.workspace), workspace(args.workspace);
  BackwardPlan plan = plan_backward(args, wgmma_kernels(common), of_groups);
  BackwardMaps maps = {};
  if (!plan.inputs || !fits_wgmma(device, common) || !make_maps(device, common, plan, maps)) {
    plan = plan_backward(args, backward_kernels(common), workspace);
  }
  AttentionBackwardParams params = {};
  params.common = attention_params(common);
  const TileCuts cuts = {plan.kernels.query_rows, 1, plan.paged ? plan.kernels.key_rows : 0};
  if (!send_mask(device, common.mask, s, plan.lists, cuts, params.common.mask, error)) return false;
  if (!launch_delta(device, args, plan, error)) return false;
  params.common.tiles = static_cast<int32_t>(plan.query_tiles);
  params.doutput = heads_params(plan.doutput, s.value_dim);
  params.log_sum_exp = args.log_sum_exp;
  params.delta = plan.delta;
  params.dquery = args.dquery;
  if (plan.inputs) {
    if (!launch_queries(device, common, plan, params, maps, error)) return false;
    if (!launch_keys(device, args, plan, params, maps, error)) return false;
  }
  if (args.dbias != nullptr && !launch_bias(device, args, plan, params, error)) return false;
  return args.dsink == nullptr || launch_sink(device, args, plan, error);
}

}  // namespace cuda
}  // namespace tfxf
