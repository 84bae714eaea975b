// SPDX-License-Identifier: Apache-2.0
/**
 * Brings queries, keys and values into the tiles of attention_forward_tiles.h: bfloat16 as it is, float32 as three terms
 * (simd/tiles.h).
 *
 * Rows of values that are infinite or NaN are cleared here and added apart, as they must not reach queries that do not see them.
 * Dot products of vast queries or keys (is_vast) in three terms are taken again.
 */
#pragma once

#include "cpu/kernels/attention_forward_panel.h"
#include "cpu/kernels/attention_tile_forms.h"

#if defined(__AMX_BF16__)

namespace tfxf {
namespace TFXF_ISA {

/** Keys in a tile of depth: pairs of them fill a row. */
constexpr int64_t kTileKeys = kTileDepth;
static_assert(kTileKeyBlock % kTileKeys == 0, "blocks of keys are whole tiles");
/** Words of a term of the weights of one vector of queries, pair of keys after pair, and of all. */
constexpr int64_t kVectorWeights = kTileKeyBlock / 2 * kTileSide;
constexpr int64_t kTermWeights = kTileVectors * kVectorWeights;

/** Words of a term of the queries of a panel, and of the keys and values of a block. */
TFXF_INLINE int64_t query_term(const AttentionArgs& args) { return tile_row_words(args.shape.key_dim) * kTileColumns; }
TFXF_INLINE int64_t key_term(const AttentionArgs& args) { return tile_row_words(args.shape.key_dim) * kTileKeyBlock; }
TFXF_INLINE int64_t value_term(const AttentionArgs& args) {
  return whole_vectors(args.shape.value_dim) * kTileKeyBlock / 2;
}

/** Copies the queries of a panel. */
static inline void copy_query_tiles(const ForwardItem& item, ForwardPanel& state) {
  const AttentionArgs& args = item.args->common;
  const int64_t columns = args.shape.key_dim, term = query_term(args);
  const auto address = [&](int64_t r) { return query_address(item, state.panel, r); };
  uint32_t* out = reinterpret_cast<uint32_t*>(state.query);
  state.is_vast = false;
  if (input_terms(args) == 1) {
    copy_transposed_tiles<1>(address, state.panel.count, columns, term, out);
  } else {
    copy_transposed_tiles<kMostTerms>(address, state.panel.count, columns, term, out);
    for (int64_t r = 0; r < state.panel.count; r++) {
      state.is_vast |= row_is_vast(address(r), columns);
    }
  }
}

/** Copies the keys j0 … j1 - 1 of the item. */
static inline void copy_key_tiles(ForwardItem& item) {
  const AttentionArgs& args = item.args->common;
  const int64_t count = item.j1 - item.j0, columns = args.shape.key_dim;
  const auto key = [&](int64_t r) { return block_row(args.key, item, item.j0 + r); };
  uint32_t* keys = reinterpret_cast<uint32_t*>(item.keys);
  item.has_vast_keys = false;
  if (input_terms(args) == 1) {
    copy_row_tiles<1>(key, count, columns, kTileKeyBlock, key_term(args), keys);
  } else {
    copy_row_tiles<kMostTerms>(key, count, columns, kTileKeyBlock, key_term(args), keys);
    for (int64_t r = 0; r < count; r++) item.has_vast_keys |= row_is_vast(key(r), columns);
  }
}

/**
 * Copies the values j0 … j1 - 1 of the item transposed: tiles of kTileKeys keys one after the other, each of all columns,
 * with zeros where there is no key, or where item.cleared says so if `clear`.
 */
template <int kTerms>
static inline void copy_values_transposed(const ForwardItem& item, bool clear) {
  const AttentionArgs& args = item.args->common;
  const int64_t count = item.j1 - item.j0, columns = args.shape.value_dim, rows = whole_vectors(columns);
  for (int64_t r = 0; r < count; r += kTileKeys) {
    const char* keys[kTileKeys];
    for (int64_t x = 0; x < kTileKeys; x++) {
      const bool there = r + x < count && !(clear && item.cleared[r + x]);
      keys[x] = there ? block_row(args.value, item, item.j0 + r + x) : nullptr;
    }
    for (int64_t d = 0; d < rows; d += kTileDepth) {
      Vu terms[kTileKeys][kTerms];
      for (int x = 0; x < kTileKeys; x++) {
        for (int t = 0; t < kTerms; t++) terms[x][t] = Vu{};
        if (keys[x] != nullptr) load_terms<kTerms>(keys[x], d / 2, columns, terms[x]);
      }
      uint32_t* out = reinterpret_cast<uint32_t*>(item.values) + r / 2 * rows + d * kTileSide;
      for (int t = 0; t < kTerms; t++) {
        transpose_pairs([&](int x) TFXF_ALWAYS_INLINE { return terms[x][t]; }, rows - d, out + t * value_term(args));
      }
    }
  }
}

/** As copy_key_block, into tiles. */
static inline void copy_key_block_tiles(ForwardItem& item) {
  const AttentionArgs& args = item.args->common;
  const int64_t columns = args.shape.value_dim;
  copy_key_tiles(item);
  item.spoilt = false;
  for (int64_t j = item.j0; j < item.j1; j++) {
    const char* row = block_row(args.value, item, j);
    item.cleared[j - item.j0] = row_is_spoilt(row, args.value.dtype, columns);
    item.spoilt |= item.cleared[j - item.j0];
  }
  if (input_terms(args) == 1) {
    copy_values_transposed<1>(item, item.spoilt);
  } else {
    copy_values_transposed<kMostTerms>(item, item.spoilt);
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
