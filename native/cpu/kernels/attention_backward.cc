// SPDX-License-Identifier: Apache-2.0
/**
 * Gradients of attention, with the weights computed again from the saved logSumExp (T. Dao, "FlashAttention-2",
 * 2023), sums all in float32:
 *
 *     P  = exp(S - LSE)     dP = dO Vᵀ     dS = P * (dP - delta)     delta = rowsum(dO * O) - dLSE
 *     dV = Pᵀ dO            dK = scale * dSᵀ Q                       dQ = scale * dS K
 *
 * First delta for every row (attention_backward_rows.h), then chunks of keys (attention_backward_chunk.h), or the bias
 * (attention_backward_bias.h) or the sinks. Five products of a tile instead of the seven that separate passes for dQ and
 * for dK and dV would take. Blocks that may share rows of keys are done by one work item for each unit, one after the other.
 *
 * Workspace: two floats for each query row, and the tiles of each worker.
 */
#include "cpu/kernels/attention_backward.h"

#include "cpu/kernels/attention_backward_bias.h"
#include "cpu/kernels/attention_backward_chunk.h"
#include "cpu/kernels/attention_backward_rows.h"

namespace tfxf {
namespace TFXF_ISA {
namespace {

BackwardCall make_call(const AttentionBackwardArgs& args, int workers, int64_t* bytes) {
  const AttentionShape& shape = args.common.shape;
  const int64_t rows = shape.batch * shape.heads * shape.queries;
  BackwardCall call = {args,
                       score_rule(args.common),
                       shape.heads / shape.kv_heads,
                       shape.batch * shape.kv_heads,
                       whole_vectors(shape.key_dim),
                       whole_vectors(shape.value_dim),
                       {},
                       nullptr,
                       nullptr,
                       nullptr,
                       nullptr,
                       0};
  Carver carver = {static_cast<char*>(args.workspace)};
  carver.take(call.delta, rows);
  const bool by_chunks = args.dquery != nullptr && !shares_keys(args.common);
  carver.take(call.first_chunk, by_chunks ? block_count(args.common.mask) + 1 : 0);
  carver.take(call.progress, by_chunks ? count_chunks(args.common) * call.units : 0);
  const bool is_scalar = args.dbias != nullptr && args.dbias_shape[2] == 1 && args.dbias_shape[3] == 1;
  const int64_t planes = is_scalar ? args.dbias_shape[0] * args.dbias_shape[1] : 0;
  carver.take(call.partial, planes * divide_up(shape.keys, kChunkKeys));
  carver.take(call.scratch, 0);
  Carver one = {nullptr};
  carve_scratch(call, one);
  call.scratch_bytes = one.used;
  *bytes = carver.used + one.used * workers;
  return call;
}

void zero(float* out, int64_t rows, int64_t columns, const Parallel& parallel) {
  constexpr int64_t kRows = 64;
  parallel_for(parallel, divide_up(rows, kRows), [&](int64_t item, int) {
    const int64_t count = smaller(kRows, rows - item * kRows) * columns;
    memset(out + item * kRows * columns, 0, static_cast<size_t>(count) * sizeof(float));
  });
}

/** One item for each unit: all chunks of all blocks. */
void run_in_turn(const BackwardCall& call, const Parallel& parallel) {
  const AttentionArgs& args = call.args.common;
  parallel_for(parallel, call.units, [&](int64_t unit, int worker) {
    const Scratch s = scratch_of(call, worker);
    for (int64_t b = 0; b < block_count(args.mask); b++) {
      const MaskBlock block = block_of(args, b);
      for (int64_t n = 0; n < chunks_of(block); n++) {
        chunk_gradients(call, block, unit / args.shape.kv_heads, unit % args.shape.kv_heads, n, s,
                        nullptr, nullptr);
      }
    }
  });
}

/** The block that chunk number `chunk` of all belongs to. */
int64_t block_of_chunk(const BackwardCall& call, int64_t chunk) {
  int64_t low = 0, high = block_count(call.args.common.mask);
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (call.first_chunk[middle] <= chunk ? low : high) = middle;
  }
  return low;
}

/** One item for each chunk of each unit. */
void run_chunks(const BackwardCall& call, const Parallel& parallel) {
  const AttentionArgs& args = call.args.common;
  const int64_t blocks = block_count(args.mask);
  call.first_chunk[0] = 0;
  for (int64_t b = 0; b < blocks; b++) {
    call.first_chunk[b + 1] = call.first_chunk[b] + chunks_of(block_of(args, b));
  }
  const int64_t items = call.first_chunk[blocks] * call.units;
  memset(call.progress, 0, static_cast<size_t>(items) * sizeof(int32_t));
  parallel_for(parallel, items, [&](int64_t item, int worker) {
    const int64_t chunk = item / call.units, unit = item % call.units;
    const int64_t b = block_of_chunk(call, chunk);
    const int64_t n = chunk - call.first_chunk[b];
    int32_t* own = call.progress + item;
    chunk_gradients(call, block_of(args, b), unit / args.shape.kv_heads,
                    unit % args.shape.kv_heads, n, scratch_of(call, worker),
                    n > 0 ? own - call.units : nullptr, own);
  });
}

void compute_input_gradients(const BackwardCall& call, const Parallel& parallel) {
  const AttentionShape& shape = call.args.common.shape;
  zero(call.args.dquery, shape.batch * shape.queries, shape.heads * shape.key_dim, parallel);
  zero(call.args.dkey, shape.batch * shape.keys, shape.kv_heads * shape.key_dim, parallel);
  zero(call.args.dvalue, shape.batch * shape.keys, shape.kv_heads * shape.value_dim, parallel);
  if (shares_keys(call.args.common)) {
    run_in_turn(call, parallel);
  } else {
    run_chunks(call, parallel);
  }
}

}  // namespace

int64_t attention_backward_workspace(const AttentionBackwardArgs& args, int workers) {
  int64_t bytes;
  make_call(args, workers, &bytes);
  return bytes;
}

void attention_backward(const AttentionBackwardArgs& args, const Parallel& parallel) {
  int64_t bytes;
  const BackwardCall call = make_call(args, parallel.workers, &bytes);
  compute_deltas(call, parallel);
  if (args.dquery != nullptr) compute_input_gradients(call, parallel);
  if (args.dbias != nullptr) compute_dbias(call, parallel);
  if (args.dsink != nullptr) compute_dsink(call, parallel);
}

}  // namespace TFXF_ISA
}  // namespace tfxf
