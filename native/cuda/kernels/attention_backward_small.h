// SPDX-License-Identifier: Apache-2.0
/** The small kernels around the backward passes: delta and dO before them, the sink's gradient, shared pages after them. */
#pragma once

#include "cuda/kernels/attention_rows.h"

namespace tfxf {
namespace cuda {

/** One warp owns a row of a head. */
TFXF_DEVICE void attention_delta(const DeltaParams& p) {
  const int64_t rows = static_cast<int64_t>(p.batch) * p.queries * p.heads;
  const int64_t row = block_index() * RowWarps::kRows + warp_index();
  if (row >= rows) return;
  const int32_t stored = (p.dim + 1) / 2 * 2;
  const float* doutput = p.doutput + row * p.dim;
  float sum = 0.0f;
  for (int32_t d = lane_index(); d < p.narrowed_dim; d += 32) {
    const float x = d < p.dim ? doutput[d] : 0.0f;
    if (p.narrowed != nullptr) p.narrowed[row * p.narrowed_dim + d] = static_cast<uint16_t>(narrow(x));
    if (d < p.dim) {
      const float y = p.output_is_bf16 != 0 ? widen(static_cast<const uint16_t*>(p.output)[row * stored + d])
                                            : static_cast<const float*>(p.output)[row * p.dim + d];
      sum += x * y;
    }
  }
  for (int mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  const int32_t head = static_cast<int32_t>(row % p.heads);
  const int64_t query = row / p.heads, b = query / p.queries;
  const int64_t at = (b * p.heads + head) * p.queries + query % p.queries;
  if (lane_index() == 0) p.delta[at] = sum - (p.dlog_sum_exp != nullptr ? p.dlog_sum_exp[at] : 0.0f);
}

/** dsink = -sum of exp(sink - logSumExp) * delta over the rows of a head that see a key. A block owns a head. */
TFXF_DEVICE void attention_dsink(const SinkGradientParams& p) {
  float* const sums = reinterpret_cast<float*>(shared_memory());
  const int32_t head = static_cast<int32_t>(block_index());
  const float sink = p.sink[head];
  const int64_t rows = static_cast<int64_t>(p.batch) * p.queries;
  float sum = 0.0f;
  for (int64_t n = thread_index(); n < rows; n += BlockSums::kThreads) {
    const int64_t at = (n / p.queries * p.heads + head) * p.queries + n % p.queries;
    const float log_sum_exp = p.log_sum_exp[at];
    if (log_sum_exp != -infinity()) sum -= power_of_two((sink - log_sum_exp) * kLog2E) * p.delta[at];
  }
  sums[thread_index()] = sum;
  sync_threads();
  for (int half = BlockSums::kThreads / 2; half > 0; half /= 2) {
    if (thread_index() < half) sums[thread_index()] += sums[thread_index() + half];
    sync_threads();
  }
  if (thread_index() == 0) p.dsink[head] = sums[0];
}

/** A block owns a row of the key tensor: the sum over every place where a block's table names the row's page. */
TFXF_DEVICE void attention_page_sums(const PageGradientParams& p) {
  const int32_t row = static_cast<int32_t>(block_index());
  const int32_t page = row / p.mask.page_size, rest = row % p.mask.page_size;
  const int32_t width = p.heads * p.dim;
  for (int32_t at = thread_index(); at < width; at += BlockSums::kThreads) {
    float sum = 0.0f;
    for (int32_t b = 0; b < p.mask.num_blocks; b++) {
      const int32_t* pages = p.mask.page_table + p.mask.page_start[b];
      for (int32_t n = 0; n * p.mask.page_size + rest < p.mask.k_length[b]; n++) {
        if (pages[n] != page) continue;
        const int64_t key = p.mask.key_offset[b] + n * p.mask.page_size + rest;
        sum += p.logical[key * width + at];
      }
    }
    p.gradient[static_cast<int64_t>(row) * width + at] = sum;
  }
}

}  // namespace cuda
}  // namespace tfxf
