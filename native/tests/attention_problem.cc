// SPDX-License-Identifier: Apache-2.0
/** Shapes, and the visible keys cell by cell from the definition: independent of common/mask.h. */
#include "tests/attention_problem.h"

#include <cmath>

#include "tests/runner.h"

namespace tfxf {
namespace test {

Shape query_shape(const AttentionProblem& p) {
  return {p.shape.batch, p.shape.queries, p.shape.heads, p.shape.key_dim};
}
Shape key_shape(const AttentionProblem& p) {
  return {p.shape.batch, p.shape.keys, p.shape.kv_heads, p.shape.key_dim};
}
Shape value_shape(const AttentionProblem& p) {
  return {p.shape.batch, p.shape.keys, p.shape.kv_heads, p.shape.value_dim};
}
Shape output_shape(const AttentionProblem& p) {
  return {p.shape.batch, p.shape.queries, p.shape.heads, p.shape.value_dim};
}
Shape row_shape(const AttentionProblem& p) {
  return {p.shape.batch, p.shape.heads, p.shape.queries};
}

int64_t size_of(const Shape& shape) {
  int64_t size = 1;
  for (const int64_t n : shape) size *= n;
  return size;
}

std::vector<std::vector<int64_t>> visible_rows(const AttentionProblem& p) {
  std::vector<std::vector<int64_t>> rows(static_cast<size_t>(p.shape.queries));
  std::vector<BlockSpec> blocks = p.mask.blocks;
  if (blocks.empty()) blocks.push_back({p.shape.queries, 0, p.shape.keys, {}});
  int64_t first = 0;
  for (const BlockSpec& block : blocks) {
    const int64_t shift = p.mask.bottom_right ? block.k_length - block.q_length : 0;
    for (int64_t i = 0; i < block.q_length; i++) {
      for (int64_t j = 0; j < block.k_length; j++) {
        if (j < i + shift - p.mask.left || j > i + shift + p.mask.right) continue;
        int64_t row = block.k_start + j;
        if (p.mask.page_size > 0) {
          const int64_t page = block.pages[static_cast<size_t>(j / p.mask.page_size)];
          row = page * p.mask.page_size + j % p.mask.page_size;
        }
        rows[static_cast<size_t>(first + i)].push_back(row);
      }
    }
    first += block.q_length;
  }
  return rows;
}

int64_t broadcast_index(const Shape& shape, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t at[4] = {b, h, i, j};
  int64_t index = 0;
  for (size_t axis = 0; axis < 4; axis++) {
    index = index * shape[axis] + (shape[axis] == 1 ? 0 : at[axis]);
  }
  return index;
}

bool hidden_by_bias(const BiasSpec& bias, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (bias.kind == BiasKind::kNone) return false;
  const float value = bias.values[static_cast<size_t>(broadcast_index(bias.shape, b, h, i, j))];
  return bias.kind == BiasKind::kBool ? value == 0.0f : value == -HUGE_VALF;
}

static std::string describe_mask(const MaskSpec& mask) {
  std::string text;
  if (mask.left < kUnbounded) text += format(" left %ld", static_cast<long>(mask.left));
  if (mask.right < kUnbounded) text += format(" right %ld", static_cast<long>(mask.right));
  if (mask.bottom_right) text += " bottomRight";
  if (mask.page_size > 0) text += format(" pages of %ld", static_cast<long>(mask.page_size));
  if (!mask.blocks.empty()) text += " blocks";
  for (const BlockSpec& block : mask.blocks) {
    text += format(" %ldx%ld@%ld", static_cast<long>(block.q_length),
                   static_cast<long>(block.k_length), static_cast<long>(block.k_start));
  }
  return text.empty() ? " no mask" : text;
}

std::string describe(const AttentionProblem& p) {
  const auto name = [](DType dtype) { return dtype == DType::kFloat32 ? "f32" : "bf16"; };
  const AttentionShape& s = p.shape;
  std::string text = format("B%ld M%ldx%ld H%ld/%ld D%ld/%ld %s->%s%s", static_cast<long>(s.batch),
                            static_cast<long>(s.queries), static_cast<long>(s.keys),
                            static_cast<long>(s.heads), static_cast<long>(s.kv_heads),
                            static_cast<long>(s.key_dim), static_cast<long>(s.value_dim),
                            name(p.dtype), name(p.output_dtype), describe_mask(p.mask).c_str());
  if (p.bias.kind != BiasKind::kNone) {
    text += p.bias.kind == BiasKind::kBool ? " bool" : " bias";
    for (const int64_t n : p.bias.shape) text += format(" %ld", static_cast<long>(n));
  }
  if (p.softcap > 0.0f) text += format(" softcap %g", static_cast<double>(p.softcap));
  if (!p.sink.empty()) text += " sink";
  if (p.dropout > 0.0) text += format(" p %g seed %u", p.dropout, p.dropout_seed);
  if (!p.dlog_sum_exp.empty()) text += " dlse";
  if (p.head_gap + p.row_gap + p.batch_gap > 0) {
    text += format(" gaps %ld %ld %ld", static_cast<long>(p.head_gap), static_cast<long>(p.row_gap),
                   static_cast<long>(p.batch_gap));
  }
  return text + format(" scale %g", static_cast<double>(p.scale));
}

}  // namespace test
}  // namespace tfxf
