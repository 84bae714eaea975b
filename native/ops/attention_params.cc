// SPDX-License-Identifier: Apache-2.0
/** Checks of attention_params.h. Each block and each page in use is looked at once. */
#include "ops/attention_params.h"

#include <math.h>
#include <string.h>

namespace tfxf {
namespace {

enum Index {
  kWindowLeft,
  kWindowRight,
  kBottomRight,
  kSeed,
  kDropThreshold,
  kKeepScale,
  kScale,
  kSoftcap,
  kNumBlocks,
  kPageSize,
  kPageTableLength,
  kHeadLength
};

float float_at(const int32_t* params, Index index) {
  float value;
  memcpy(&value, params + index, sizeof value);
  return value;
}

void read_numbers(OpCall& call, const int32_t* params, AttentionArgs& args) {
  args.mask.window_left = params[kWindowLeft];
  args.mask.window_right = params[kWindowRight];
  args.mask.bottom_right = params[kBottomRight] != 0;
  args.dropout.seed = static_cast<uint32_t>(params[kSeed]);
  args.dropout.threshold = static_cast<uint32_t>(params[kDropThreshold]);
  args.dropout.keep_scale = float_at(params, kKeepScale);
  args.scale = float_at(params, kScale);
  args.softcap = float_at(params, kSoftcap);
  for (int side = kWindowLeft; side <= kWindowRight; side++) {
    if (params[side] < 0 || params[side] > kUnbounded) {
      call.fail("params[%d], a side of the window, is %d, expected 0 to %lld", side, params[side],
                static_cast<long long>(kUnbounded));
    }
  }
  if (params[kBottomRight] != 0 && params[kBottomRight] != 1) {
    call.fail("params[2], bottom_right, is %d, expected 0 or 1", params[kBottomRight]);
  }
  if (!isfinite(args.dropout.keep_scale) || args.dropout.keep_scale <= 0.0f) {
    call.fail("params[5], keep_scale, is %g, expected a positive number", args.dropout.keep_scale);
  }
  if (!isfinite(args.scale)) {
    call.fail("params[6], scale, is %g, expected a finite number", args.scale);
  }
  if (!isfinite(args.softcap) || args.softcap < 0.0f) {
    call.fail("params[7], softcap, is %g, expected 0 or a positive number", args.softcap);
  }
}

/** Fails unless the list is as long as its head says. */
void check_length(OpCall& call, const int32_t* params, int64_t length) {
  const int64_t blocks = params[kNumBlocks], table = params[kPageTableLength];
  const bool is_paged = params[kPageSize] != 0;
  if (blocks < 0 || params[kPageSize] < 0 || table < 0) {
    call.fail("params has %lld blocks, pages of %d keys and %lld pages, none may be negative",
              static_cast<long long>(blocks), params[kPageSize], static_cast<long long>(table));
  }
  if (is_paged && blocks == 0) call.fail("params has pages and no blocks that they belong to");
  if (!is_paged && table != 0) call.fail("params has a page table and pages of 0 keys");
  int64_t expected = kHeadLength;
  if (blocks > 0) expected += 3 * blocks + 1;
  if (is_paged) expected += blocks + table;
  if (length != expected) {
    call.fail("params has %lld numbers, expected %lld with %lld blocks and %lld pages",
              static_cast<long long>(length), static_cast<long long>(expected),
              static_cast<long long>(blocks), static_cast<long long>(table));
  }
}

/** Fails unless the blocks of queries follow each other from 0 to the end. */
void check_query_blocks(OpCall& call, const Mask& mask, int64_t queries) {
  if (mask.q_start[0] != 0) call.fail("q_start begins with %d, expected 0", mask.q_start[0]);
  for (int64_t b = 0; b < mask.num_blocks && call.ok(); b++) {
    if (mask.q_start[b + 1] < mask.q_start[b]) {
      call.fail("q_start[%lld] is %d, below the one before, %d", static_cast<long long>(b + 1),
                mask.q_start[b + 1], mask.q_start[b]);
    }
  }
  if (mask.q_start[mask.num_blocks] != queries) {
    call.fail("q_start ends with %d, expected the number of queries, %lld",
              mask.q_start[mask.num_blocks], static_cast<long long>(queries));
  }
}

/** Fails unless the keys of block b lie in the key tensor. */
void check_key_range(OpCall& call, const Mask& mask, int64_t b, int64_t keys) {
  const int64_t start = mask.k_start[b], length = mask.k_length[b];
  if (start < 0 || length < 0 || start + length > keys) {
    call.fail("block %lld has %lld keys from row %lld on, of %lld in the key tensor",
              static_cast<long long>(b), static_cast<long long>(length),
              static_cast<long long>(start), static_cast<long long>(keys));
  }
}

/** Fails unless all keys of block b lie in pages of the table, and these in the key tensor. */
void check_pages(OpCall& call, const Mask& mask, int64_t b, int64_t table_length, int64_t keys) {
  const int64_t start = mask.page_start[b], length = mask.k_length[b];
  if (mask.k_start[b] != 0 || length < 0) {
    call.fail("paged block %lld has %lld keys from %d on, expected 0 or more from 0 on",
              static_cast<long long>(b), static_cast<long long>(length), mask.k_start[b]);
    return;
  }
  const int64_t pages = (length + mask.page_size - 1) / mask.page_size;
  if (start < 0 || start + pages > table_length) {
    call.fail("block %lld has %lld pages from %lld on, of %lld in the page table",
              static_cast<long long>(b), static_cast<long long>(pages),
              static_cast<long long>(start), static_cast<long long>(table_length));
    return;
  }
  for (int64_t n = 0; n < pages; n++) {
    const int64_t page = mask.page_table[start + n];
    const int64_t rest = length - n * mask.page_size;
    const int64_t used = rest < mask.page_size ? rest : mask.page_size;
    if (page >= 0 && page * mask.page_size + used <= keys) continue;
    call.fail("page_table[%lld] is %lld: %lld keys of such a page are not among the %lld of the "
              "key tensor",
              static_cast<long long>(start + n), static_cast<long long>(page),
              static_cast<long long>(used), static_cast<long long>(keys));
    return;
  }
}

void read_blocks(OpCall& call, const int32_t* params, AttentionArgs& args) {
  const AttentionShape& shape = args.shape;
  Mask& mask = args.mask;
  mask.num_blocks = params[kNumBlocks];
  mask.page_size = params[kPageSize];
  if (mask.num_blocks == 0) return;
  if (args.bias.kind != BiasKind::kNone) call.fail("a bias does not go with blocks");
  if (shape.batch != 1) {
    call.fail("params has blocks, which need batch size 1, and there are %lld batch items",
              static_cast<long long>(shape.batch));
  }
  mask.q_start = params + kHeadLength;
  mask.k_start = mask.q_start + mask.num_blocks + 1;
  mask.k_length = mask.k_start + mask.num_blocks;
  if (mask.page_size > 0) {
    mask.page_start = mask.k_length + mask.num_blocks;
    mask.page_table = mask.page_start + mask.num_blocks;
  }
  check_query_blocks(call, mask, shape.queries);
  for (int64_t b = 0; b < mask.num_blocks && call.ok(); b++) {
    if (mask.page_size > 0) {
      check_pages(call, mask, b, params[kPageTableLength], shape.keys);
    } else {
      check_key_range(call, mask, b, shape.keys);
    }
  }
}

}  // namespace

void read_attention_params(OpCall& call, const Tensor& tensor, AttentionArgs& args) {
  if (!call.ok()) return;
  const int64_t length = tensor.shape.rank == 1 ? tensor.shape.dims[0] : 0;
  if (length < kHeadLength) {
    return call.fail("params is not a vector of at least %d numbers", kHeadLength);
  }
  const int32_t* params = static_cast<const int32_t*>(tensor.data);
  check_length(call, params, length);
  read_numbers(call, params, args);
  if (call.ok()) read_blocks(call, params, args);
}

}  // namespace tfxf
