// SPDX-License-Identifier: Apache-2.0
/**
 * Sizes lean to the edges of tiles and to nothing (0, 1, one more or less than a power of two); masks are of every
 * form that src/attn_bias has, and of forms that only the mask plan allows: overlapping and reordered key ranges.
 */
#include "tests/attention_draw.h"

#include <algorithm>
#include <cmath>

#include "tests/golden.h"
#include "tests/runner.h"
#include "tests/tables.h"

namespace tfxf {
namespace test {
namespace {

int64_t draw_dim(Random& random) {
  if (random.chance(0.5)) {
    return random.pick<int64_t>({1, 2, 8, 15, 16, 17, 31, 32, 33, 64, 65, 80, 96, 127, 128, 129, 160, 256, 260});
  }
  return random.chance(0.6) ? random.integer(1, 80) : random.integer(1, 260);
}

int64_t draw_length(Random& random, bool may_be_empty) {
  if (may_be_empty && random.chance(0.04)) return 0;
  if (random.chance(0.1)) return 1;
  if (random.chance(0.3)) {
    return random.pick<int64_t>({6, 7, 16, 17, 31, 32, 33, 63, 64, 65, 66, 96, 127, 128, 129, 192, 255, 257});
  }
  if (random.chance(0.4)) return random.integer(2, 24);
  return random.chance(0.6) ? random.integer(2, 100) : random.integer(100, 300);
}

/** Halves the sizes, largest first, until the work is small enough. */
void shrink(AttentionShape& s, int64_t most) {
  const auto work = [&] {
    return s.batch * s.heads * s.queries * s.keys * (s.key_dim + s.value_dim);
  };
  while (work() > most) {
    if (s.heads > s.kv_heads && s.heads > 2) {
      s.heads = s.kv_heads;
    } else if (s.batch > 1) {
      s.batch = 1;
    } else if (s.kv_heads > 1) {
      s.heads = s.kv_heads = 1;
    } else if (s.queries > s.keys) {
      s.queries = s.queries / 2 + 1;
    } else if (s.keys > 64) {
      s.keys = s.keys / 2 + 1;
    } else {
      s.key_dim = s.key_dim / 2 + 1;
      s.value_dim = s.value_dim / 2 + 1;
    }
  }
}

/** `total` cut into `parts` lengths, some of them 0. */
std::vector<int64_t> cut(Random& random, int64_t total, int64_t parts) {
  std::vector<int64_t> ends = {total};
  for (int64_t n = 1; n < parts; n++) ends.push_back(random.integer(0, total));
  std::sort(ends.begin(), ends.end());
  for (size_t n = ends.size(); n-- > 1;) ends[n] -= ends[n - 1];
  return ends;
}

/** A side of a window: often without limit. */
int64_t draw_side(Random& random, double unbounded) {
  if (random.chance(unbounded)) return kUnbounded;
  if (random.chance(0.4)) return 0;
  return random.chance(0.5) ? random.integer(0, 9) : random.integer(0, 150);
}

void draw_window(Random& random, MaskSpec& mask, bool always) {
  mask.bottom_right = random.chance(0.5);
  if (!always && random.chance(0.3)) return;
  mask.right = draw_side(random, 0.25);
  mask.left = draw_side(random, mask.right < kUnbounded ? 0.5 : 0.1);
}

/** Blocks of keys one after the other, in rooms that they do not fill, or anywhere. */
void draw_blocks(Random& random, MaskSpec& mask, const AttentionShape& s) {
  const int64_t parts = random.integer(1, 5);
  const std::vector<int64_t> queries = cut(random, s.queries, parts), rooms = cut(random, s.keys, parts);
  const int64_t form = random.integer(0, 3);
  int64_t start = 0;
  for (size_t n = 0; n < queries.size(); n++) {
    BlockSpec block = {queries[n], start, rooms[n], {}};
    if (form == 1) block.k_length = random.integer(0, rooms[n]);
    if (form == 2) {
      block.k_start += random.integer(0, rooms[n]);
      block.k_length = random.integer(0, start + rooms[n] - block.k_start);
    }
    if (form == 3) {
      block.k_start = random.integer(0, s.keys);
      block.k_length = random.integer(0, s.keys - block.k_start);
    }
    mask.blocks.push_back(block);
    start += rooms[n];
  }
}

/** Pages in any order; some belong to several blocks. */
void draw_pages(Random& random, MaskSpec& mask, AttentionShape& s) {
  mask.page_size = random.pick<int64_t>({1, 2, 3, 4, 7, 16, 64});
  const int64_t pages = std::max<int64_t>(1, s.keys / mask.page_size);
  s.keys = pages * mask.page_size + (random.chance(0.2) ? random.integer(0, 3) : 0);
  std::vector<int32_t> order;
  for (int32_t n = 0; n < pages; n++) order.push_back(n);
  for (const int64_t queries : cut(random, s.queries, random.integer(1, 4))) {
    for (size_t n = order.size(); n > 1; n--) {
      std::swap(order[n - 1], order[static_cast<size_t>(random.integer(0, static_cast<int64_t>(n) - 1))]);
    }
    BlockSpec block = {queries, 0, random.integer(0, pages * mask.page_size), {}};
    const int64_t used = (block.k_length + mask.page_size - 1) / mask.page_size;
    block.pages.assign(order.begin(), order.begin() + used);
    mask.blocks.push_back(block);
  }
}

void draw_mask(Random& random, AttentionProblem& p, bool always) {
  const int64_t form = random.integer(always ? 1 : 0, 5);
  if (form == 0) return;
  draw_window(random, p.mask, always);
  if (form <= 2) return;
  p.shape.batch = 1;  // as callers see to: packed sequences are one batch item
  if (form <= 4) {
    draw_blocks(random, p.mask, p.shape);
  } else {
    draw_pages(random, p.mask, p.shape);
  }
}

void draw_bias(Random& random, AttentionProblem& p, uint32_t seed) {
  if (!p.mask.blocks.empty() || !random.chance(0.4)) return;
  const AttentionShape& s = p.shape;
  const int64_t full[4] = {s.batch, s.heads, s.queries, s.keys};
  for (size_t axis = 0; axis < 4; axis++) p.bias.shape[axis] = random.chance(0.35) ? 1 : full[axis];
  p.bias.kind = random.chance(0.6) ? BiasKind::kFloat : BiasKind::kBool;
  p.bias.values = draw_tensor(seed, size_of(p.bias.shape), DType::kFloat32, 1.5);
  const bool hides = p.bias.kind == BiasKind::kBool || random.chance(0.4);
  const int64_t row = p.bias.shape[3];
  const bool first_row_is_dead = hides && random.chance(0.3);
  for (size_t n = 0; n < p.bias.values.size(); n++) {
    float& value = p.bias.values[n];
    const bool hidden = hides && (value < -0.7f || (first_row_is_dead && static_cast<int64_t>(n) < row));
    if (p.bias.kind == BiasKind::kBool) {
      value = hidden ? 0.0f : 1.0f;
    } else if (hidden) {
      value = -HUGE_VALF;
    }
  }
}

void draw_storage(Random& random, AttentionProblem& p) {
  p.dtype = random.chance(0.5) ? DType::kFloat32 : DType::kBFloat16;
  p.output_dtype = random.chance(0.8) ? p.dtype : random.chance(0.5) ? DType::kFloat32 : DType::kBFloat16;
  if (!random.chance(0.3)) return;
  const int64_t unit = p.dtype == DType::kFloat32 ? 1 : 2;  // a packed tensor is a view of words
  p.head_gap = unit * random.pick<int64_t>({0, 1, 64});
  p.row_gap = unit * random.pick<int64_t>({1, 3, 40});
  p.batch_gap = unit * random.integer(0, 5);
}

int64_t whole(int64_t elements) { return (elements + 7) / 8 * 8; }

/** DrawOptions::plain: what kernels for aligned bfloat16 alone take, which leave few queries to others. */
void make_plain(AttentionProblem& p) {
  AttentionShape& s = p.shape;
  p.dtype = DType::kBFloat16;
  p.aligned = true;
  for (int64_t* elements : {&s.key_dim, &s.value_dim, &p.head_gap, &p.row_gap, &p.batch_gap}) *elements = whole(*elements);
  s.key_dim = std::min(s.key_dim, most_head_dim());
  s.value_dim = std::min(s.value_dim, most_head_dim());
  if (p.mask.page_size > 0) p.mask.blocks.clear();
  p.mask.page_size = 0;
  s.queries += 17;
  if (!p.mask.blocks.empty()) p.mask.blocks[0].q_length += 17;
  p.bias = BiasSpec();
  p.softcap = 0.0f;
  p.dropout = 0.0;
  p.scale = p.scale == 0.0f ? 1.0f / 16.0f : std::fabs(p.scale);
}

/** DrawOptions::decoding, before masks and strides are drawn. */
void shape_for_decoding(Random& random, AttentionShape& s) {
  constexpr int64_t kTile = 32;
  s.queries = std::min<int64_t>(s.queries, random.chance(0.5) ? 1 : random.integer(2, 15));
  for (int64_t* columns : {&s.key_dim, &s.value_dim}) *columns = std::min((*columns + kTile - 1) / kTile, int64_t{5}) * kTile;
  if (random.chance(0.5)) s.keys = s.keys * 3 + 1;
  if (random.chance(0.3)) s.heads = s.kv_heads * random.integer(1, 20);
}

void draw_values(AttentionProblem& p, uint32_t seed) {
  p.query = draw_tensor(seed, size_of(query_shape(p)), p.dtype);
  p.key = draw_tensor(seed + 1, size_of(key_shape(p)), p.dtype);
  p.value = draw_tensor(seed + 2, size_of(value_shape(p)), p.dtype);
  p.doutput = draw_tensor(seed + 3, size_of(output_shape(p)), round_doutput() ? p.dtype : DType::kFloat32);
}

}  // namespace

AttentionProblem draw_problem(uint64_t seed, const DrawOptions& options) {
  Random random(seed);
  AttentionProblem p;
  AttentionShape& s = p.shape;
  const bool may_be_empty = !options.hides_keys;
  s.batch = may_be_empty && random.chance(0.02) ? 0 : random.pick<int64_t>({1, 1, 2, 3});
  s.queries = draw_length(random, may_be_empty);
  s.keys = draw_length(random, may_be_empty);
  if (random.chance(0.08)) {  // decoding
    s.queries = random.integer(1, 3);
    s.keys = random.integer(300, 1500);
  }
  s.kv_heads = random.integer(1, 3);
  s.heads = s.kv_heads * random.pick<int64_t>({1, 1, 2, 3, 4, 8});
  s.key_dim = draw_dim(random);
  s.value_dim = random.chance(0.5) ? s.key_dim : draw_dim(random);
  s.key_dim = std::min(s.key_dim, most_head_dim());
  s.value_dim = std::min(s.value_dim, most_head_dim());
  shrink(s, options.work);
  if (options.decoding) shape_for_decoding(random, s);
  draw_mask(random, p, options.hides_keys);
  draw_storage(random, p);
  if (options.decoding && p.dtype == DType::kFloat32) {
    p.dtype = DType::kBFloat16;
    for (int64_t* gap : {&p.head_gap, &p.row_gap, &p.batch_gap}) *gap *= 2;
  }
  const uint32_t values = static_cast<uint32_t>(random.integer(100000, 1000000000));
  draw_bias(random, p, values + 4);
  const double standard = 1.0 / std::sqrt(static_cast<double>(s.key_dim));
  p.scale = static_cast<float>(random.chance(0.8) ? standard : random.pick<double>({0.0, -standard, 0.5 * standard}));
  if (random.chance(0.2)) p.softcap = random.pick<float>({0.8f, 2.0f, 30.0f});
  if (random.chance(0.25)) p.sink = draw_tensor(values + 6, s.heads);
  if (!options.hides_keys && random.chance(0.3)) {
    p.dropout = random.pick<double>({0.1, 0.5, 0.9});
    p.dropout_seed = static_cast<uint32_t>(random.word());
  }
  if (options.plain || test::options().plain) make_plain(p);
  draw_values(p, values);
  if (random.chance(0.3)) p.dlog_sum_exp = draw_tensor(values + 7, size_of(row_shape(p)));
  if (random.chance(0.2)) {
    p.wants_inputs = random.chance(0.5);
    p.wants_bias = random.chance(0.5);
    p.wants_sink = !p.wants_inputs && !p.wants_bias ? true : random.chance(0.5);
  }
  return p;
}

}  // namespace test
}  // namespace tfxf
