// SPDX-License-Identifier: Apache-2.0
/**
 * Decoding in bfloat16 by products on AMX tiles. Keys and values go into tiles from where they lie, without a copy:
 *
 *   scores [key][row]     keys, 16 at a time  x  pairs of columns of queries
 *   output [4 row][word]  += weights          x  values, a key being a row of words of two columns
 *
 * A word of values holds an even column and the odd one beside it, and the product of two words adds both. So a weight is
 * taken twice, in words whose other half is 0: beside the even column, and beside the odd one. And it is the sum of two
 * bfloat16, its leading 8 bits and the rest, each rounded: results are those of float32 weights to within 2^-17 of each weight
 * (but of those below 2^-105, whose rest is subnormal). That makes the four rows of output that a row of weights has, which are
 * joined at the end of a stretch.
 *
 * Zeros times infinite values are NaN, also in the other column of a word. Where that may be, a stretch is attended once more,
 * with rows of values that are infinite or NaN set apart: on tiles again, as what a query does not see must change none of its
 * bits.
 */
#pragma once

#include "cpu/kernels/attention_decode_block.h"

#if defined(__AMX_BF16__)

#include "cpu/kernels/attention_tile_forms.h"

namespace tfxf {
namespace TFXF_ISA {

/** Rows of output for each row of weights: even and odd columns of the leading bits, then of the rest. */
constexpr int64_t kWeightParts = 4;
/** Tiles of keys in a block. */
constexpr int64_t kDecodeKeyTiles = kDecodeKeys / kTileSide;

// Tile registers: 0 scores, 1 pairs of columns of queries, 2 and 3 keys or values, 4 weights, 5 and 6 output, 7 unused.

/** How the rows of a key/value head are dealt out, a set of them to a tile, and where things lie; sizes in words. */
struct DecodeTiles {
  int64_t rows, groups;               // rows of a group
  int64_t dot_sets, dot_rows;         // sets of a group; rows of a set
  int64_t output_sets, output_rows;
  int64_t key_tiles, value_tiles;     // in a row
  int64_t dot_columns;                // of a group and a block of keys, in whole tiles
  uint32_t* queries;                  // [groups][dot_sets][key_tiles] tiles, rows of dot_rows words
  float* dots;                        // [2][kTileSide][dot_columns]: of a group, and of the next one
  uint32_t* weights;                  // [kDecodeKeyTiles] tiles
  uint32_t* copies;                   // [kDecodeKeyTiles][kTileSide] rows of keys or values that cannot be read in place
  float* output;                      // [groups][output_sets][value_tiles] tiles

  float* dots_of(int64_t n) const { return dots + n % 2 * kTileSide * dot_columns; }
  int64_t query_words() const { return groups * dot_sets * key_tiles * kTileSide * dot_rows; }
  int64_t output_words() const { return groups * output_sets * value_tiles * kTileWords; }
  int64_t copy_words() const { return kTileSide * kTileSide * larger(key_tiles, value_tiles); }
  int64_t dot_words() const { return 2 * kTileSide * dot_columns; }
  int64_t weight_words() const { return kDecodeKeyTiles * kTileWords; }
  int64_t words() const { return query_words() + dot_words() + weight_words() + kDecodeKeyTiles * copy_words() + output_words(); }
};

/** For `rows` of a group; without scratch, only the sizes. */
static inline DecodeTiles decode_tiles(const AttentionArgs& args, int64_t rows, uint32_t* scratch = nullptr) {
  DecodeTiles t = {};
  t.rows = rows;
  t.groups = args.shape.kv_heads;
  t.dot_sets = divide_up(rows, kTileSide);
  t.dot_rows = divide_up(rows, t.dot_sets);
  t.output_sets = divide_up(rows, kTileSide / kWeightParts);
  t.output_rows = divide_up(rows, t.output_sets);
  t.key_tiles = args.shape.key_dim / kTileDepth;
  t.value_tiles = args.shape.value_dim / kTileDepth;
  t.dot_columns = divide_up(kDecodeKeyTiles * t.dot_sets * t.dot_rows, kTileSide) * kTileSide;
  if (scratch == nullptr) return t;
  t.queries = scratch;
  t.weights = t.queries + t.query_words();
  t.copies = t.weights + t.weight_words();
  t.dots = reinterpret_cast<float*>(t.copies + kDecodeKeyTiles * t.copy_words());
  t.output = t.dots + t.dot_words();
  return t;
}

/** The queries as tiles of B; what is missing from the last set of rows is 0. */
static inline void copy_query_tiles(const DecodeItem& item, const DecodePlan& plan, const DecodeTiles& t) {
  const uint32_t* queries = reinterpret_cast<const uint32_t*>(item.queries);
  const int64_t words = t.key_tiles * kTileSide, set_rows = t.dot_sets * t.dot_rows;
  if (set_rows > t.rows) memset(t.queries, 0, static_cast<size_t>(t.query_words()) * 4);
  for (int64_t g = 0; g < t.groups; g++) {
    uint32_t* out = t.queries + g * words * set_rows;
    for (int64_t r = 0; r < t.rows; r++, queries += plan.key_stride) {
      uint32_t* column = out + r / t.dot_rows * words * t.dot_rows + r % t.dot_rows;
      for (int64_t w = 0; w < words; w++) column[w * t.dot_rows] = queries[w];
    }
  }
}

/** Rows of keys or values that a tile register can load: where they begin, and the bytes from one to the next. */
struct TileRows {
  const char* data;
  int64_t bytes;
};

/** A tile's rows of one head, of which the first `count` are there and those of `cleared`, a bit each, count as 0. */
struct TileSource {
  const HeadsView& view;
  int64_t j, g, count;  // row j of the mask's block is the first
  uint32_t cleared;
};

/** The rows where they lie; if not all of them are there and as they lie, in a copy, filled up with 0. */
static inline TileRows tile_rows(const DecodeItem& item, const TileSource& source, int64_t tiles, uint32_t* copy) {
  const TileRows rows = {key_address(source.view, item.block, item.b, source.j, source.g), source.view.row_stride * 2};
  if (source.count >= kTileSide && source.cleared == 0) return rows;
  const int64_t bytes = 4 * kTileSide * tiles;
  for (int64_t r = 0; r < kTileSide; r++) {
    char* to = reinterpret_cast<char*>(copy) + r * bytes;
    if (r < source.count && (source.cleared >> r & 1) == 0) {
      memcpy(to, rows.data + r * rows.bytes, static_cast<size_t>(bytes));
    } else {
      memset(to, 0, static_cast<size_t>(bytes));
    }
  }
  return {reinterpret_cast<const char*>(copy), bytes};
}

/** The dots of 16 keys with one set of queries, [key][query]. */
TFXF_INLINE void multiply_keys(const DecodeTiles& t, const TileRows& keys, const uint32_t* queries, float* out) {
  asm volatile("" : : : "memory");  // GCC does not know that _tile_loadd reads memory
  _tile_zero(0);
  for (int64_t d = 0; d < t.key_tiles; d++) {
    _tile_loadd(1, queries + d * kTileSide * t.dot_rows, 4 * t.dot_rows);
    _tile_loadd(2, keys.data + d * 4 * kTileSide, keys.bytes);
    _tile_dpbf16ps(0, 2, 1);
  }
  _tile_stored(0, out, 4 * t.dot_columns);
}

/** The dots of a block with the queries of its group: a column for each row of the group, one tile of keys after the other. */
static inline void multiply_group(const DecodeItem& item, const DecodeTiles& t, const DecodeBlock& at, int64_t n) {
  const int64_t set_words = t.key_tiles * kTileSide * t.dot_rows;
  const uint32_t* queries = t.queries + at.g * t.dot_sets * set_words;
  float* dots = t.dots_of(n);
  const int64_t count = at.j1 - at.j0;
  for (int64_t j = 0; j < count; j += kTileSide) {
    const TileRows keys = tile_rows(item, {item.args->key, at.j0 + j, at.g, count - j, 0}, t.key_tiles, t.copies);
    for (int64_t s = 0; s < t.dot_sets; s++, dots += t.dot_rows) multiply_keys(t, keys, queries + s * set_words, dots);
  }
}

/**
 * From the dots of a group to scores [row][key]. Column k * set_rows + r of the dots has row r of the group and tile k of keys;
 * rows that only fill a set up are left out. In columns past the last tile of keys is anything, and so in the scores of such
 * tiles, which nobody reads.
 */
static inline void transpose_group(const DecodeTiles& t, const DecodeBlock& at, int64_t n) {
  const int64_t set_rows = t.dot_sets * t.dot_rows, key_tiles = divide_up(at.j1 - at.j0, kTileSide);
  const float* dots = t.dots_of(n);
  int64_t r = 0, k = 0;
  for (int64_t column = 0; column < key_tiles * set_rows; column += kTileSide) {
    Vf rows[kWidth];
    for (int64_t j = 0; j < kWidth; j++) rows[j] = load(dots + j * t.dot_columns + column);
    transpose(rows);
    for (int64_t x = 0; x < kTileSide && k < kDecodeKeyTiles; x++) {
      if (r < t.rows) store(at.scores + r * kDecodeKeys + k * kTileSide, rows[x]);
      r++;
      if (r == set_rows) {
        r = 0;
        k++;
      }
    }
  }
}

/** The weights of one set of rows for all keys of the block, as tiles of A; rows past `there` are 0. */
TFXF_INLINE void split_weights(const DecodeTiles& t, const float* weights, int64_t there, int64_t key_tiles) {
  for (int64_t r = 0; r < t.output_rows; r++) {
    for (int64_t k = 0; k < key_tiles; k++) {
      Vf rest = r < there ? load(weights + r * kDecodeKeys + k * kTileSide) : Vf{};
      uint32_t* part = t.weights + k * kTileWords + r * kWeightParts * kTileSide;
      for (int term = 0; term < 2; term++, part += 2 * kTileSide) {
        const Vu bits = bits_of(take_term<false>(rest));
        store_words(part, bits >> 16);
        store_words(part + kTileSide, bits);
      }
    }
  }
}

/** output += weights x values for one set of rows, and one or two tiles of columns. */
template <bool kTwo>
TFXF_INLINE void multiply_values(const TileRows (&values)[kDecodeKeyTiles], int64_t key_tiles, int64_t tile,
                                 const uint32_t* weights, float* output) {
  constexpr int64_t kRowBytes = 4 * kTileSide;
  _tile_loadd(5, output, kRowBytes);
  if (kTwo) _tile_loadd(6, output + kTileWords, kRowBytes);
  for (int64_t k = 0; k < key_tiles; k++) {
    const char* const columns = values[k].data + tile * kRowBytes;
    _tile_loadd(4, weights + k * kTileWords, kRowBytes);
    _tile_loadd(2, columns, values[k].bytes);
    _tile_dpbf16ps(5, 4, 2);
    if (kTwo) _tile_loadd(3, columns + kRowBytes, values[k].bytes);
    if (kTwo) _tile_dpbf16ps(6, 4, 3);
  }
  _tile_stored(5, output, kRowBytes);
  if (kTwo) _tile_stored(6, output + kTileWords, kRowBytes);
}

/** Where the four parts of a row begin in the first of its tiles of output. */
TFXF_INLINE float* output_parts(const DecodeTiles& t, int64_t row) {
  const int64_t g = row / t.rows, r = row % t.rows;
  const int64_t set = g * t.output_sets + r / t.output_rows;
  return t.output + set * t.value_tiles * kTileWords + r % t.output_rows * kWeightParts * kTileSide;
}

/** Which rows of a tile of values are infinite or NaN. */
static inline uint32_t spoilt_rows(const DecodeItem& item, const TileSource& source) {
  uint32_t spoilt = 0;
  for (int64_t r = 0; r < smaller(source.count, kTileSide); r++) {
    const char* row = key_address(source.view, item.block, item.b, source.j + r, source.g);
    if (row_is_spoilt(row, DType::kBFloat16, item.args->shape.value_dim)) spoilt |= 1u << r;
  }
  return spoilt;
}

/** Adds the row of values of key `lane` of the block, which is set apart, to the rows that see it. */
static inline void add_spoilt_parts(const DecodeItem& item, const DecodePlan& plan, const DecodeTiles& t, const DecodeBlock& at,
                                    const ScoreRule& rule, int64_t lane) {
  const char* row = key_address(item.args->value, item.block, item.b, at.j0 + lane, at.g);
  for (int64_t r = 0; r < at.rows; r++) {
    if (!sees_key(item, plan, at, rule, r, lane)) continue;
    const Vf weight = splat(at.scores[r * kDecodeKeys + lane]);
    float* parts = output_parts(t, at.first_row + r);
    for (int64_t d = 0; d < t.value_tiles; d++, parts += kTileWords) {
      const Vu pairs = load_words(reinterpret_cast<const uint32_t*>(row) + d * kTileSide);
      store(parts, fma(weight, float_of(pairs << 16), load(parts)));
      store(parts + kTileSide, fma(weight, float_of(pairs & 0xffff0000u), load(parts + kTileSide)));
    }
  }
}

/** Adds the values of one key/value head; with `apart` those that are infinite or NaN by themselves. */
static inline void add_values_on_tiles(const DecodeItem& item, const DecodePlan& plan, const DecodeTiles& t,
                                       const DecodeBlock& at, const ScoreRule& rule, bool apart) {
  const int64_t count = at.j1 - at.j0, key_tiles = divide_up(count, kTileSide);
  TileRows values[kDecodeKeyTiles];
  for (int64_t k = 0; k < key_tiles; k++) {
    const int64_t j = k * kTileSide;
    TileSource source = {item.args->value, at.j0 + j, at.g, count - j, 0};
    if (apart) source.cleared = spoilt_rows(item, source);
    for (int64_t r = 0; r < kTileSide; r++) {
      if (source.cleared >> r & 1) add_spoilt_parts(item, plan, t, at, rule, j + r);
    }
    values[k] = tile_rows(item, source, t.value_tiles, t.copies + k * t.copy_words());
  }
  float* output = t.output + at.g * t.output_sets * t.value_tiles * kTileWords;
  for (int64_t r = 0; r < t.rows; r += t.output_rows) {
    split_weights(t, at.scores + r * kDecodeKeys, smaller(t.rows - r, t.output_rows), key_tiles);
    asm volatile("" : : : "memory");
    int64_t d = 0;
    for (; d + 1 < t.value_tiles; d += 2) {
      multiply_values<true>(values, key_tiles, d, t.weights, output + d * kTileWords);
    }
    if (d < t.value_tiles) multiply_values<false>(values, key_tiles, d, t.weights, output + d * kTileWords);
    output += t.value_tiles * kTileWords;
  }
}

/** Multiplies what was summed of a row. */
static inline void scale_parts(const DecodeTiles& t, int64_t row, Vf factor) {
  float* parts = output_parts(t, row);
  for (int64_t d = 0; d < t.value_tiles; d++, parts += kTileWords) {
    for (int64_t p = 0; p < kWeightParts; p++) {
      store(parts + p * kTileSide, load(parts + p * kTileSide) * factor);
    }
  }
}

/** The parts of a row become a row of output. */
static inline void join_parts(const DecodeTiles& t, int64_t row, float* output) {
  const float* parts = output_parts(t, row);
  for (int64_t d = 0; d < t.value_tiles; d++, parts += kTileWords, output += kTileDepth) {
    const Vf even = load(parts) + load(parts + 2 * kTileSide);
    const Vf odd = load(parts + kTileSide) + load(parts + 3 * kTileSide);
    store(output, __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    store(output + kTileSide,
          __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
  }
}

/** The keys begin … end - 1 of a slice, in an item whose stretch has begun; `apart` as above. */
static inline void attend_on_tiles(const DecodeItem& item, const DecodePlan& plan, int64_t begin, int64_t end, bool apart) {
  const int64_t rows = plan.rows / item.args->shape.kv_heads;
  const DecodeTiles t = decode_tiles(*item.args, rows, item.tiles);
  copy_query_tiles(item, plan, t);
  memset(t.output, 0, static_cast<size_t>(t.output_words()) * 4);
  const TileShape whole = {kTileSide, kTileSide}, one_set = {kTileSide, t.dot_rows};
  const TileShape parts = {kWeightParts * t.output_rows, kTileSide};
  const TileScope scope({one_set, one_set, whole, whole, parts, parts, parts, whole});
  const ScoreRule rule = score_rule(*item.args);
  const auto scale = [&](int64_t row, Vf factor) { scale_parts(t, row, factor); };
  const int64_t groups = divide_up(end - begin, kDecodeKeys) * t.groups;
  const auto group = [&](int64_t n) {
    const int64_t j0 = begin + n / t.groups * kDecodeKeys;
    return decode_block(item, plan, n % t.groups, j0, smaller(j0 + kDecodeKeys, end));
  };
  // Keys of the next group are on their way while weights are computed.
  DecodeBlock next = group(0);
  multiply_group(item, t, next, 0);
  for (int64_t n = 0; n < groups; n++) {
    const DecodeBlock at = next;
    if (n + 1 < groups) {
      next = group(n + 1);
      multiply_group(item, t, next, n + 1);
    }
    transpose_group(t, at, n);
    weigh_group(item, plan, rule, at, scale);
    add_values_on_tiles(item, plan, t, at, rule, apart);
  }
  for (int64_t row = 0; row < plan.rows; row++) join_parts(t, row, item.output + row * plan.value_stride);
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#endif
