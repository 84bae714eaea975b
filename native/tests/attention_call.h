// SPDX-License-Identifier: Apache-2.0
/**
 * Runs an AttentionProblem on a table of kernels: every tensor lies in guarded memory of exactly its size, gaps and
 * padding hold NaN, outputs hold garbage before the call, and the workspace is NaN and exactly as large as asked for.
 */
#pragma once

#include <memory>

#include "cpu/kernel_table.h"
#include "tests/attention_problem.h"

namespace tfxf {
namespace test {

struct ForwardResult {
  std::vector<float> output;       // widened, without padding
  std::vector<float> log_sum_exp;
};

/** The inputs in memory as a kernel gets them. */
class AttentionMemory {
 public:
  explicit AttentionMemory(const AttentionProblem& p);
  ~AttentionMemory();
  AttentionMemory(const AttentionMemory&) = delete;
  AttentionMemory& operator=(const AttentionMemory&) = delete;

  ForwardResult forward(const KernelTable& table, const Parallel& parallel) const;
  /** Those of the five gradients that the problem wants; the others are empty. */
  struct Gradients {
    std::vector<float> query, key, value, bias, sink;
  };
  Gradients backward(const KernelTable& table, const Parallel& parallel, const ForwardResult& forward) const;

 private:
  struct Storage;
  const AttentionProblem p_;
  std::unique_ptr<Storage> storage_;
  AttentionArgs args_;
};

using GradientResult = AttentionMemory::Gradients;

/** Values of [.., columns] in this storage, contiguous, odd rows of bfloat16 padded with NaN. */
std::vector<uint8_t> stored_rows(const std::vector<float>& values, int64_t columns, DType dtype);

/** The reverse; fails the test where the padding is not zero. */
std::vector<float> loaded_rows(const uint8_t* bytes, int64_t rows, int64_t columns, DType dtype,
                               const char* what);

}  // namespace test
}  // namespace tfxf
