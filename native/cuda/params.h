// SPDX-License-Identifier: Apache-2.0
/**
 * What a kernel gets by value: made by the launch files on the host, read by the headers in kernels on the device. Pointers are the
 * device's. Sizes are checked on the host, so that rows, keys and heads fit in 32 bits; places in tensors have 64.
 */
#pragma once

#include <cstdint>

namespace tfxf {
namespace cuda {

/** [B, M, heads, dim] in bfloat16 or float32; strides in elements. */
struct HeadsParams {
  const void* data;
  int64_t batch_stride, row_stride, head_stride;
  int32_t dim;
  int32_t in_chunks;  // whether rows are read 16 bytes at a time: all are aligned to that, and whole
};

/** A MaskPlan with its lists on the device. */
struct MaskParams {
  int32_t window_left, window_right, bottom_right;
  int32_t num_blocks, page_size;
  const int32_t *q_start, *k_start, *k_length, *page_start, *page_table;
  /** Pairs (block, first row) of the tiles of queries where there are blocks; of keys in a paged attention_dkeys. */
  const int32_t* tiles;
  /** Paged: keys of the blocks before each. */
  const int32_t* key_offset;
  /** Not paged: where the keys of this block and all before it end, and where those of it and all behind it begin. */
  const int32_t *keys_to, *keys_from;
};

struct BiasParams {
  int32_t kind;  // BiasKind
  const void* data;
  int64_t b, h, i, j;
};

struct AttentionParams {
  HeadsParams query, key, value;
  MaskParams mask;
  BiasParams bias;
  int32_t batch, queries, keys, heads, kv_heads;
  int32_t pack;    // query heads that share a tile's rows: 1, or heads / kv_heads
  int32_t tiles;   // of rows, for each batch item and head
  int32_t splits;  // of the keys
  int32_t together;  // heads whose longest tiles come first together (attention_rows.h); divides their number
  float scale, softcap;
  const float* sink;
  uint32_t threshold, seed;
  float keep_scale;
};

/** A CUtensorMap: how the copy engine finds boxes in [B, M, heads, dim]; the driver makes it. */
struct alignas(128) TensorMap {
  uint64_t opaque[16];
};

struct AttentionForwardParams {
  AttentionParams common;
  void* output;
  int32_t output_is_bf16;
  int32_t output_in_chunks;  // whether the output, not a partial one, is bfloat16 of rows of whole 16 bytes
  float* log_sum_exp;
  /** With more than one split: [splits, B, Mq, H, V] and [splits, B, H, Mq]. */
  float *partial_output, *partial_log_sum_exp;
};

/** `places` of tiles of queries are shared out among `blocks` blocks. */
struct PlacesParams {
  int64_t places;
  int32_t blocks;
};

/** Of attention_forward_wgmma.h: pack is 1, there is no paging. */
struct AttentionForwardMapsParams {
  TensorMap query, key, value;
  AttentionForwardParams call;
  PlacesParams places;
};

struct AttentionBackwardParams {
  AttentionParams common;
  HeadsParams doutput;  // in the storage of query
  const float *log_sum_exp, *delta;  // [B, H, Mq]
  float *dquery, *dkey, *dvalue, *dbias;
  int32_t dbias_shape[4];
  int32_t dbias_tiles[2];  // of queries and keys that a block of the grid of attention_dbias may own: 1 where summed
};

/** Of attention_dquery_wgmma.h, and of attention_dkeys_wgmma.h, which has a block for each tile of keys: no paging. */
struct AttentionBackwardMapsParams {
  TensorMap query, doutput, key, value;
  AttentionBackwardParams call;
  PlacesParams places;
};

/** Adds up the gradients of the keys of all blocks that share a page; logical: [keys of all blocks, heads, dim]. */
struct PageGradientParams {
  MaskParams mask;
  const float* logical;
  float* gradient;  // [keys, heads, dim]
  int32_t keys, heads, dim;
};

/** delta = sum over V of doutput * output, less dlogSumExp; and doutput in bfloat16 where `narrowed` is not null. */
struct DeltaParams {
  const float* doutput;
  const void* output;
  int32_t output_is_bf16;
  const float* dlog_sum_exp;
  float* delta;
  uint16_t* narrowed;  // [B, Mq, H, narrowed_dim]
  int32_t batch, queries, heads, dim;
  int32_t narrowed_dim;  // at least dim, even; zeros follow dim
};

struct SinkGradientParams {
  const float *sink, *log_sum_exp, *delta;
  float* dsink;
  int32_t batch, queries, heads;
};

struct NormParams {
  int64_t rows;
  int32_t columns;
  int32_t rms;
  float epsilon, weight_offset;
  const void *x, *residual, *gamma, *beta;
  int32_t x_is_bf16, residual_is_bf16, gamma_is_bf16, beta_is_bf16, output_is_bf16;
  int32_t in_chunks;  // whether 8 values at a time are read and written at aligned places
  void* output;
  float *stats, *sum;
};

struct NormBackwardParams {
  int64_t rows, rows_per_block;
  int32_t columns;
  int32_t rms;
  float weight_offset;
  const void *x, *gamma;
  int32_t x_is_bf16, gamma_is_bf16;
  int32_t in_chunks;
  const float *dy, *stats, *dsum;
  float* dx;
  /** [blocks, columns] each, or null. */
  float *dgamma_parts, *dbeta_parts;
};

struct ColumnSumParams {
  const float* parts;
  float* sums;
  int32_t blocks, columns;
};

struct ConvertParams {
  const void* x;
  void* y;
  int64_t rows;
  int32_t columns;
};

}  // namespace cuda
}  // namespace tfxf
