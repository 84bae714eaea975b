// SPDX-License-Identifier: Apache-2.0
/**
 * Every kernel of every module: F(name, parameters, shape of shapes.h, device function). A module is one .cu file,
 * compiled and loaded by itself, when something of it is first launched. The host looks at all but the function.
 */
#pragma once

#include "cuda/params.h"
#include "cuda/shapes.h"

namespace tfxf {
namespace cuda {

/** Takes the parentheses from a type: Bare<void (T)>. */
template <typename T>
struct Bare;
template <typename T>
struct Bare<void(T)> {
  using type = T;
};

}  // namespace cuda
}  // namespace tfxf

/** F(lanes, chunks): the first whose columns suffice is taken; the last two also take rows that are not whole chunks. */
#define TFXF_NORM_SHAPES(F) F(8, 1) F(16, 1) F(32, 1) F(32, 4) F(256, 1) F(256, 2) F(256, 4) F(32, 0) F(256, 0)

#define TFXF_NORM_PAIR(F, lanes, chunks)                                                                     \
  F(norm_forward_##lanes##x##chunks, NormParams, (NormForwardShape<lanes, chunks>), (norm_forward<lanes, chunks>)) \
  F(norm_backward_##lanes##x##chunks, NormBackwardParams, (NormBackwardShape<lanes, chunks>),                \
    (norm_backward<lanes, chunks>))

#define TFXF_NORM_KERNELS(F)                                                \
  TFXF_NORM_PAIR(F, 8, 1)                                                   \
  TFXF_NORM_PAIR(F, 16, 1)                                                  \
  TFXF_NORM_PAIR(F, 32, 1)                                                  \
  TFXF_NORM_PAIR(F, 32, 4)                                                  \
  TFXF_NORM_PAIR(F, 256, 1)                                                 \
  TFXF_NORM_PAIR(F, 256, 2)                                                 \
  TFXF_NORM_PAIR(F, 256, 4)                                                 \
  TFXF_NORM_PAIR(F, 32, 0)                                                  \
  TFXF_NORM_PAIR(F, 256, 0)                                                 \
  F(norm_column_sums, ColumnSumParams, (BlockSums), (norm_column_sums))     \
  F(convert_to_bf16, ConvertParams, (ConvertShape), (convert_to_bf16))      \
  F(convert_to_float, ConvertParams, (ConvertShape), (convert_to_float))

#define TFXF_FORWARD_KERNEL(F, type, element, dim, kind, plain)                              \
  F(attention_forward_##type##_##dim##_##kind, AttentionForwardParams, (ForwardTiles<element, dim, plain>), \
    (attention_forward<ForwardTiles<element, dim, plain>, plain>))

#define TFXF_FORWARD_BF16_KERNELS(F)                                \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 64, plain, true)           \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 128, plain, true)          \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 256, plain, true)          \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 64, full, false)           \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 128, full, false)          \
  TFXF_FORWARD_KERNEL(F, bf16, BFloat16, 256, full, false)          \
  F(attention_combine, AttentionForwardParams, (RowWarps), (attention_combine))

#define TFXF_FORWARD_F32_KERNELS(F)                        \
  TFXF_FORWARD_KERNEL(F, f32, float, 64, full, false)      \
  TFXF_FORWARD_KERNEL(F, f32, float, 128, full, false)     \
  TFXF_FORWARD_KERNEL(F, f32, float, 256, full, false)

#define TFXF_WGMMA_KERNEL(F, dim)                                                              \
  F(attention_forward_wgmma_##dim, AttentionForwardMapsParams, (WarpgroupTiles<dim>), \
    (attention_forward_wgmma<WarpgroupTiles<dim>>))
#define TFXF_FORWARD_SM90_KERNELS(F) TFXF_WGMMA_KERNEL(F, 64) TFXF_WGMMA_KERNEL(F, 128) TFXF_WGMMA_KERNEL(F, 256)

#define TFXF_BACKWARD_WGMMA_KERNEL(F, part, shape, dim, ...) \
  F(attention_##part##_wgmma_##dim, AttentionBackwardMapsParams, (shape<dim>), (__VA_ARGS__))
#define TFXF_BACKWARD_SM90_KERNELS(F)                                                                                   \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dquery, WarpgroupDQueryTiles, 64, attention_dquery_wgmma<WarpgroupDQueryTiles<64>>)      \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dquery, WarpgroupDQueryTiles, 128, attention_dquery_wgmma<WarpgroupDQueryTiles<128>>)    \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dquery, WarpgroupDQueryTiles, 256, attention_dquery_wgmma<WarpgroupDQueryTiles<256>>)    \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dkeys, WarpgroupDKeysTiles, 64, attention_dkeys_wgmma<WarpgroupDKeysTiles<64>, 3>)       \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dkeys, WarpgroupDKeysTiles, 128, attention_dkeys_wgmma<WarpgroupDKeysTiles<128>, 3>)     \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dkey, WarpgroupDKeysTiles, 256, attention_dkeys_wgmma<WarpgroupDKeysTiles<256>, 1>)      \
  TFXF_BACKWARD_WGMMA_KERNEL(F, dvalue, WarpgroupDKeysTiles, 256, attention_dkeys_wgmma<WarpgroupDKeysTiles<256>, 2>)

#define TFXF_BACKWARD_KERNEL(F, part, type, element, dim, ...)                                       \
  F(attention_##part##_##type##_##dim, AttentionBackwardParams, (BackwardTiles<element, dim>), (__VA_ARGS__))

#define TFXF_BACKWARD_KERNELS_OF(F, type, element)                                                                  \
  TFXF_BACKWARD_KERNEL(F, dquery, type, element, 64, attention_dquery<BackwardTiles<element, 64>>)                   \
  TFXF_BACKWARD_KERNEL(F, dquery, type, element, 128, attention_dquery<BackwardTiles<element, 128>>)                 \
  TFXF_BACKWARD_KERNEL(F, dquery, type, element, 256, attention_dquery<BackwardTiles<element, 256>>)                 \
  TFXF_BACKWARD_KERNEL(F, dkeys, type, element, 64, attention_dkeys<BackwardTiles<element, 64>, 3>)                  \
  TFXF_BACKWARD_KERNEL(F, dkeys, type, element, 128, attention_dkeys<BackwardTiles<element, 128>, 3>)                \
  TFXF_BACKWARD_KERNEL(F, dkey, type, element, 256, attention_dkeys<BackwardTiles<element, 256>, 1>)                 \
  TFXF_BACKWARD_KERNEL(F, dvalue, type, element, 256, attention_dkeys<BackwardTiles<element, 256>, 2>)               \
  TFXF_BACKWARD_KERNEL(F, dbias, type, element, 64, attention_dbias<BackwardTiles<element, 64>>)                     \
  TFXF_BACKWARD_KERNEL(F, dbias, type, element, 128, attention_dbias<BackwardTiles<element, 128>>)                   \
  TFXF_BACKWARD_KERNEL(F, dbias, type, element, 256, attention_dbias<BackwardTiles<element, 256>>)

#define TFXF_BACKWARD_BF16_KERNELS(F)                                             \
  TFXF_BACKWARD_KERNELS_OF(F, bf16, BFloat16)                                     \
  F(attention_delta, DeltaParams, (RowWarps), (attention_delta))                  \
  F(attention_dsink, SinkGradientParams, (BlockSums), (attention_dsink))          \
  F(attention_page_sums, PageGradientParams, (BlockSums), (attention_page_sums))

#define TFXF_BACKWARD_F32_KERNELS(F) TFXF_BACKWARD_KERNELS_OF(F, f32, float)

/** M(name of kernels/<name>.cu, list) */
#define TFXF_CUDA_MODULES(M)                           \
  M(norm, TFXF_NORM_KERNELS)                           \
  M(attention_forward_bf16, TFXF_FORWARD_BF16_KERNELS) \
  M(attention_forward_f32, TFXF_FORWARD_F32_KERNELS)   \
  M(attention_forward_sm90, TFXF_FORWARD_SM90_KERNELS) \
  M(attention_backward_bf16, TFXF_BACKWARD_BF16_KERNELS) \
  M(attention_backward_sm90, TFXF_BACKWARD_SM90_KERNELS) \
  M(attention_backward_f32, TFXF_BACKWARD_F32_KERNELS)
