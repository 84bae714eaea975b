// SPDX-License-Identifier: Apache-2.0
/**
 * What a block of threads owns in attention, and how a score becomes what softmax sees.
 *
 * Block n of the grid owns one split of the keys, one tile of query rows, one head, one batch item. Tiles run from the
 * last to the first: under a causal mask those have the most keys, and should not begin last. `together` heads begin with
 * their last tiles before any of them begins with the one before; with one the tiles count fastest, so that neighbours
 * share keys in the cache. With `pack` heads a tile's row r is query r / pack of head r % pack of
 * a group that shares one key head: a few queries (decoding) then fill a tile together and read the keys once.
 *
 *     s = softcap * tanh(q·k scale / softcap) + bias        hidden: -Infinity
 */
#pragma once

#include <math.h>

#include "common/dropout.h"
#include "cuda/kernels/tile_products.h"

namespace tfxf {
namespace cuda {

/** A MaskBlock in 32 bits. */
struct Sequence {
  int32_t q_start, k_start;
  TileMask mask;
  const int32_t* pages;
  int32_t page_size;
};

TFXF_DEVICE Sequence sequence_of(const AttentionParams& p, int32_t b) {
  const MaskParams& m = p.mask;
  Sequence s = {0, 0, {p.queries, p.keys, 0, 0}, nullptr, m.page_size};
  if (m.num_blocks > 0) {
    s.q_start = m.q_start[b];
    s.k_start = m.k_start[b];
    s.mask.q_length = m.q_start[b + 1] - s.q_start;
    s.mask.k_length = m.k_length[b];
    if (m.page_size > 0) s.pages = m.page_table + m.page_start[b];
  }
  s.mask = tile_mask(s.mask.q_length, s.mask.k_length, m.window_left, m.window_right, m.bottom_right != 0);
  return s;
}

/** The row of the key tensor that holds key j. */
TFXF_DEVICE int32_t key_row(const Sequence& s, int32_t j) {
  if (s.pages == nullptr) return s.k_start + j;
  return s.pages[j / s.page_size] * s.page_size + j % s.page_size;
}

/** Of one block of the grid. */
struct Place {
  int32_t split, batch, head;  // head: of the queries, or of the keys where heads are packed
  int32_t row0;                // the first row of the tile, in its sequence
  Sequence sequence;
};

/** Of number `n` of all that there is to do, which is that of a block of the grid unless blocks go from one to the next. */
template <int kRows>
TFXF_DEVICE Place place_at(const AttentionParams& p, int32_t together, int64_t n) {
  int64_t rest = n;
  const int32_t heads = p.heads / p.pack, sections = heads / together;
  Place place;
  place.head = static_cast<int32_t>(rest % together);
  rest /= together;
  const int32_t tile = p.tiles - 1 - static_cast<int32_t>(rest % p.tiles);
  rest /= p.tiles;
  place.head += static_cast<int32_t>(rest % sections) * together;
  rest /= sections;
  place.batch = static_cast<int32_t>(rest % p.batch);
  place.split = static_cast<int32_t>(rest / p.batch);
  place.row0 = tile * kRows;
  int32_t block = 0;
  if (p.mask.num_blocks > 0) {
    block = p.mask.tiles[2 * tile];
    place.row0 = p.mask.tiles[2 * tile + 1];
  }
  place.sequence = sequence_of(p, block);
  return place;
}

template <int kRows>
TFXF_DEVICE Place place_of(const AttentionParams& p, int32_t together = 1) {
  return place_at<kRows>(p, together, block_index());
}

/** One row of a tile: a query of a head. */
struct QueryRow {
  int32_t i, head;  // i counts in the sequence
  bool exists;
};

TFXF_DEVICE QueryRow query_row(const AttentionParams& p, const Place& place, int32_t row) {
  const int32_t r = place.row0 + row;
  const int32_t i = p.pack == 1 ? r : r / p.pack;
  const int32_t head = p.pack == 1 ? place.head : place.head * p.pack + r % p.pack;
  return {i, head, i < place.sequence.mask.q_length};
}

TFXF_DEVICE int32_t key_head(const AttentionParams& p, const Place& place) {
  return p.pack == 1 ? place.head / (p.heads / p.kv_heads) : place.head;
}

template <typename T>
TFXF_DEVICE const T* row_pointer(const HeadsParams& heads, int32_t b, int32_t row, int32_t head) {
  return static_cast<const T*>(heads.data) + b * heads.batch_stride + row * heads.row_stride + head * heads.head_stride;
}

/** Index of (b, h, i) in [B, H, Mq]; i is a row of the query tensor. */
TFXF_DEVICE int64_t sum_index(const AttentionParams& p, int32_t b, int32_t h, int32_t i) {
  return (static_cast<int64_t>(b) * p.heads + h) * p.queries + i;
}

/** tanh to a few ulp: near 0, where 1 - 2 / (e^2x + 1) cancels, by its series. */
TFXF_DEVICE float softcap_tanh(float x) {
  const float square = x * x;
  const float series = -0.33333334f + square * (0.13333334f + square * (-0.053968254f + square * 0.021869488f));
  const float far = 1.0f - 2.0f / (power_of_two(2.0f * kLog2E * x) + 1.0f);
  return square < 0.0625f ? x + x * square * series : far;
}

/** -Infinity hides the key, also where its score is NaN. */
TFXF_DEVICE float add_bias(float s, float bias) { return bias == -infinity() ? bias : s + bias; }

/** The score of a query and a key by everything but the mask. `j` is a row of the key tensor. */
TFXF_DEVICE float full_score(const AttentionParams& p, float dot, int32_t b, int32_t h, int32_t i, int32_t j) {
  float s = product(dot, p.scale);
  if (p.softcap > 0.0f) s = p.softcap * softcap_tanh(s / p.softcap);
  if (p.bias.kind == 0) return s;
  const int64_t at = b * p.bias.b + h * p.bias.h + i * p.bias.i + j * p.bias.j;
  if (p.bias.kind == 1) return add_bias(s, static_cast<const float*>(p.bias.data)[at]);
  return static_cast<const uint8_t*>(p.bias.data)[at] != 0 ? s : -infinity();
}

/** Whether dropout keeps the weight. `i` and `j` are rows of the tensors. */
TFXF_DEVICE bool is_kept(const AttentionParams& p, uint32_t row_key, int32_t j) {
  return dropout_draw(row_key, static_cast<uint32_t>(j)) >= p.threshold;
}
TFXF_DEVICE uint32_t row_key_of(const AttentionParams& p, int32_t b, int32_t h, int32_t i) {
  const uint32_t head_key = dropout_head_key(p.seed, static_cast<uint32_t>(b), static_cast<uint32_t>(h));
  return dropout_row_key(head_key, static_cast<uint32_t>(i));
}

/** Of the four lanes that share a row. */
TFXF_DEVICE float row_sum(float x) {
  x += shuffle_xor(x, 1);
  return x + shuffle_xor(x, 2);
}
TFXF_DEVICE float row_max(float x) {
  x = fmaxf(x, shuffle_xor(x, 1));
  return fmaxf(x, shuffle_xor(x, 2));
}

}  // namespace cuda
}  // namespace tfxf
