// SPDX-License-Identifier: Apache-2.0
/** attention_call.h. What the ops have checked already (blocks, pages) is not looked at again. */
#include "cuda/attention_call.h"

#include <math.h>

#include <algorithm>

#include "cuda/launch.h"

namespace tfxf {
namespace cuda {
namespace {

bool check_heads(const char* name, const HeadsView& view, DType dtype, int64_t elements, Error& error) {
  if (elements == 0) return true;
  if (view.data == nullptr) return error.fail("%s has no memory", name);
  if (view.dtype != dtype) return error.fail("%s is of another dtype than query", name);
  const uintptr_t unit = dtype == DType::kBFloat16 ? 2 : 4;
  if (reinterpret_cast<uintptr_t>(view.data) % unit != 0) return error.fail("%s is not aligned to its elements", name);
  return true;
}

}  // namespace

bool check_attention(const AttentionArgs& args, Error& error) {
  const AttentionShape& s = args.shape;
  const int64_t sizes[] = {s.batch, s.queries, s.keys, s.heads};
  for (const int64_t size : sizes) {
    if (size < 0 || size > kUnbounded) return error.fail("an axis of %lld is too long", static_cast<long long>(size));
  }
  if (s.kv_heads < 1 || s.heads < 1 || s.heads % s.kv_heads != 0) {
    return error.fail("%lld query heads are no multiple of %lld key heads", static_cast<long long>(s.heads),
                      static_cast<long long>(s.kv_heads));
  }
  if (s.key_dim < 1 || s.key_dim > kMostDim || s.value_dim < 1 || s.value_dim > kMostDim) {
    return error.fail("head dims are %lld and %lld, and the CUDA kernels take 1 to %lld", static_cast<long long>(s.key_dim),
                      static_cast<long long>(s.value_dim), static_cast<long long>(kMostDim));
  }
  if (!isfinite(args.scale) || !isfinite(args.softcap) || args.softcap < 0.0f) {
    return error.fail("scale is %g and softcap %g: both must be finite, softcap not negative",
                      static_cast<double>(args.scale), static_cast<double>(args.softcap));
  }
  if (args.mask.num_blocks > 0 && (s.batch != 1 || args.bias.kind != BiasKind::kNone)) {
    return error.fail("a mask with blocks needs batch size 1 and no bias");
  }
  if (args.bias.kind != BiasKind::kNone && args.bias.data == nullptr && s.batch * s.queries * s.keys > 0) {
    return error.fail("the bias has no memory");
  }
  const DType dtype = args.query.dtype;
  const int64_t all_keys = s.batch * s.keys;
  return check_heads("query", args.query, dtype, s.batch * s.queries, error) &&
         check_heads("key", args.key, dtype, all_keys, error) &&
         check_heads("value", args.value, dtype, all_keys, error);
}

int dim_index(const AttentionShape& shape) {
  const int64_t dim = shape.key_dim > shape.value_dim ? shape.key_dim : shape.value_dim;
  return dim <= 64 ? 0 : dim <= 128 ? 1 : 2;
}

HeadsParams heads_params(const HeadsView& view, int64_t dim) {
  const int64_t bytes = element_bytes(view.dtype), elements = 16 / bytes;
  const bool whole = reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.batch_stride % elements == 0 &&
                     view.row_stride % elements == 0 && view.head_stride % elements == 0 && dim % elements == 0;
  return {view.data,        view.batch_stride, view.row_stride, view.head_stride, static_cast<int32_t>(dim),
          whole ? 1 : 0};
}

AttentionParams attention_params(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  AttentionParams p = {};
  p.query = heads_params(args.query, s.key_dim);
  p.key = heads_params(args.key, s.key_dim);
  p.value = heads_params(args.value, s.value_dim);
  p.bias = {static_cast<int32_t>(args.bias.kind), args.bias.data, args.bias.b, args.bias.h, args.bias.i, args.bias.j};
  p.batch = static_cast<int32_t>(s.batch);
  p.queries = static_cast<int32_t>(s.queries);
  p.keys = static_cast<int32_t>(s.keys);
  p.heads = static_cast<int32_t>(s.heads);
  p.kv_heads = static_cast<int32_t>(s.kv_heads);
  p.pack = 1;
  p.splits = 1;
  p.together = 1;
  p.scale = args.scale;
  p.softcap = args.softcap;
  p.sink = args.sink;
  p.threshold = args.dropout.threshold;
  p.seed = args.dropout.seed;
  p.keep_scale = args.dropout.threshold > 0 ? args.dropout.keep_scale : 1.0f;
  return p;
}

bool is_plain(const AttentionArgs& args) {
  return args.bias.kind == BiasKind::kNone && args.softcap == 0.0f && args.dropout.threshold == 0 && args.scale > 0.0f;
}

ViewSizes query_sizes(const AttentionShape& s, int64_t dim) { return {s.batch, s.queries, s.heads, dim}; }
ViewSizes key_sizes(const AttentionShape& s, int64_t dim) { return {s.batch, s.keys, s.kv_heads, dim}; }

bool fits_wgmma(const Device& device, const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  return device.has_wgmma && is_plain(args) && args.mask.page_size == 0 &&
         mask_sizes(args.mask, s).longest_queries > kFewQueries && fits_map(args.query, query_sizes(s, s.key_dim)) &&
         fits_map(args.key, key_sizes(s, s.key_dim)) && fits_map(args.value, key_sizes(s, s.value_dim));
}

PlacesParams share_out(const Device& device, int64_t places) {
  return {places, static_cast<int32_t>(std::min<int64_t>(places, device.multiprocessors))};
}

int64_t heads_together(const AttentionArgs& args, int64_t heads, int64_t step, int64_t bytes) {
  constexpr int64_t kCachedBytes = 32 << 20;
  if (args.mask.window_left >= args.shape.keys && args.mask.window_right >= args.shape.keys) return 1;
  int64_t together = std::min(heads, step * std::max<int64_t>(1, kCachedBytes / std::max<int64_t>(1, bytes)));
  while (heads % together != 0) together--;
  return together;
}

}  // namespace cuda
}  // namespace tfxf
