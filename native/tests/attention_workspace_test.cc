// SPDX-License-Identifier: Apache-2.0
/**
 * Workspaces of attention where many blocks of very different lengths meet: they grow with the tensors, not with the
 * number of blocks times the longest of them. And what decoding computes there, with most of its items empty.
 */
#include <cmath>

#include "tests/attention_call.h"
#include "tests/attention_reference.h"
#include "tests/golden.h"
#include "tests/runner.h"
#include "tests/tables.h"
#include "tests/workers.h"

namespace tfxf {
namespace test {
namespace {

/** Blocks of one query and few keys, and one block of many; all keys begin at row 0 of the key tensor. */
struct Ragged {
  std::vector<int32_t> q_start, k_start, k_length;
  AttentionArgs args;

  Ragged(int32_t blocks, int32_t keys) {
    for (int32_t b = 0; b <= blocks; b++) q_start.push_back(b);
    k_start.assign(static_cast<size_t>(blocks), 0);
    k_length.assign(static_cast<size_t>(blocks), 16);
    k_length[1] = keys;
    args.shape = {1, blocks, keys, 32, 8, 128, 128};
    args.mask.num_blocks = blocks;
    args.mask.q_start = q_start.data();
    args.mask.k_start = k_start.data();
    args.mask.k_length = k_length.data();
  }
};

TFXF_TEST(decode_workspace, "edge/attention/workspace of decoding many blocks") {
  constexpr int64_t kWorkers = 2, kBlocks = 4096;
  const Ragged ragged(kBlocks, 1 << 20);
  const int64_t output_bytes = kBlocks * 32 * 128 * 4;
  for (const KernelTable* table : tables()) {
    TFXF_CHECK(table->attention_forward_workspace(ragged.args, kWorkers) < 2 * output_bytes);
  }
}

TFXF_TEST(backward_workspace, "edge/attention/workspace of gradients where blocks share keys") {
  constexpr int64_t kWorkers = 2, kBlocks = 4096;
  const Ragged few(kBlocks, 16);
  Ragged many(kBlocks, 1 << 20);
  many.k_length.assign(kBlocks, 1 << 20);
  float gradient = 0.0f;
  for (const KernelTable* table : tables()) {
    AttentionBackwardArgs args = {};
    args.dquery = args.dkey = args.dvalue = &gradient;
    args.common = few.args;
    const int64_t least = table->attention_backward_workspace(args, kWorkers);
    args.common = many.args;
    TFXF_CHECK(table->attention_backward_workspace(args, kWorkers) == least);
  }
}

TFXF_TEST(ragged_decode, "edge/attention/decoding many blocks of different lengths") {
  constexpr int64_t kBlocks = 200, kKeys = 2000;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    AttentionProblem p;
    p.shape = {1, 0, kKeys, 2, 1, 16, 16};
    p.dtype = p.output_dtype = dtype;
    p.scale = 0.25f;
    p.sink = {0.5f, -0.5f};
    for (int64_t b = 0; b < kBlocks; b++) {
      const int64_t length = b == 70 ? kKeys : b * 37 % 300, queries = b % 3;
      p.mask.blocks.push_back({queries, b == 70 ? 0 : b, length, {}});
      p.shape.queries += queries;
    }
    p.query = draw_tensor(1, size_of(query_shape(p)), dtype);
    p.key = draw_tensor(2, size_of(key_shape(p)), dtype);
    p.value = draw_tensor(3, size_of(value_shape(p)), dtype);
    p.doutput.assign(static_cast<size_t>(size_of(output_shape(p))), 0.0f);
    const AttentionMemory memory(p);
    const AttentionForward want = reference_forward(p);
    for (const KernelTable* table : tables()) {
      const ForwardResult got = memory.forward(*table, in_turns(2));
      const std::string who = std::string(table->name) + ", " + describe(p) + ":";
      const auto naive = [&p] { return reference_forward(p, Arithmetic::kNaive).output; };
      expect_close(who + " output", got.output, want.output, output_shape(p), {false, dtype, 1.0, naive});
      expect_close(who + " logSumExp", got.log_sum_exp, want.log_sum_exp, row_shape(p), {});
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
