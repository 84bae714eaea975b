// SPDX-License-Identifier: Apache-2.0
/** One attention call of the tests: its sizes, options and values, as plain arrays. */
#pragma once

#include <string>
#include <vector>

#include "cpu/attention.h"
#include "tests/close.h"

namespace tfxf {
namespace test {

struct BlockSpec {
  int64_t q_length, k_start, k_length;
  std::vector<int32_t> pages;
};

/** A mask as the tests write it down; no blocks: dense. */
struct MaskSpec {
  int64_t left = kUnbounded, right = kUnbounded;
  bool bottom_right = false;
  std::vector<BlockSpec> blocks;
  int64_t page_size = 0;
};

struct BiasSpec {
  BiasKind kind = BiasKind::kNone;
  Shape shape = {1, 1, 1, 1};
  std::vector<float> values;  // of kBool: 0 or 1
};

struct AttentionProblem {
  AttentionShape shape{};
  DType dtype = DType::kFloat32, output_dtype = DType::kFloat32;
  MaskSpec mask;
  BiasSpec bias;
  float scale = 1.0f, softcap = 0.0f;
  double dropout = 0.0;
  uint32_t dropout_seed = 0;
  /** Row-major, already rounded to `dtype`: [B,Mq,H,K], [B,Mk,G,K], [B,Mk,G,V]. */
  std::vector<float> query, key, value;
  std::vector<float> sink;             // [H] or empty
  std::vector<float> doutput;          // [B,Mq,H,V]
  std::vector<float> dlog_sum_exp;     // [B,H,Mq] or empty
  /** Elements between heads, rows and batch items in memory, beyond those of a contiguous tensor. */
  int64_t head_gap = 0, row_gap = 0, batch_gap = 0;
  /** With gaps, too, tensors begin at multiples of 16 bytes. */
  bool aligned = false;
  /** Gradients that are wanted, where the inputs for them are there. */
  bool wants_inputs = true, wants_bias = true, wants_sink = true;
};

Shape query_shape(const AttentionProblem& p);
Shape key_shape(const AttentionProblem& p);
Shape value_shape(const AttentionProblem& p);
Shape output_shape(const AttentionProblem& p);
Shape row_shape(const AttentionProblem& p);  // of logSumExp
int64_t size_of(const Shape& shape);

/** The rows of the key tensor that query row i attends by the mask, in the order of the block's keys. */
std::vector<std::vector<int64_t>> visible_rows(const AttentionProblem& p);

/** Place of (b, h, i, j) in a tensor that is broadcast to [B, H, Mq, Mk]. */
int64_t broadcast_index(const Shape& shape, int64_t b, int64_t h, int64_t i, int64_t j);

/** Whether the bias hides key row j from the query. */
bool hidden_by_bias(const BiasSpec& bias, int64_t b, int64_t h, int64_t i, int64_t j);

/** All of it in one line, for messages. */
std::string describe(const AttentionProblem& p);

}  // namespace test
}  // namespace tfxf
