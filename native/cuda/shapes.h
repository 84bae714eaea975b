// SPDX-License-Identifier: Apache-2.0
/**
 * The tiles of each kernel, for the kernels and for the host that launches them. What limits them: 255 registers a
 * thread, and 99 KiB of shared memory a block, so that chips with less than an A100 has (8.6, 8.9, 12.0) run them too; 227 KiB
 * in the kernels of sm_90a.
 */
#pragma once

#include <cstdint>

namespace tfxf {
namespace cuda {

struct BFloat16 {
  uint16_t bits;
};

/**
 * Attention. kDim is the head dim that fits key_dim and value_dim: 64, 128 or 256. kM: stripes of 16 rows a warp owns;
 * two read each fragment of the other side for twice the rows. kN: 8-column tiles of the other side. kStages: places for
 * the tiles that are streamed. kHeld: tiles of kRows rows that stay.
 */
template <typename T, int kHeadDim, int kWarps, int kStripes, int kColumns, int kPlaces, int kStay>
struct TileShape {
  using Element = T;
  static constexpr int kDim = kHeadDim, kM = kStripes, kN = kColumns, kStages = kPlaces;
  static constexpr int kThreads = 32 * kWarps, kRows = 16 * kStripes * kWarps, kStreamed = 8 * kColumns;
  static constexpr int kRowsBytes = kRows * kDim * static_cast<int>(sizeof(T));
  static constexpr int kTileBytes = kStreamed * kDim * static_cast<int>(sizeof(T));
  static constexpr int kSharedBytes = kStay * kRowsBytes + 2 * kStages * kTileBytes;
  static_assert(kSharedBytes <= 99 * 1024, "the tiles do not fit in shared memory");
};

/** Queries stay, keys and values are streamed. kPlain: no bias, softcap or dropout, which take registers of their own. */
template <typename T, int kDim, bool kPlain>
struct ForwardTiles;
template <>
struct ForwardTiles<BFloat16, 64, true> : TileShape<BFloat16, 64, 4, 2, 8, 2, 1> {};
template <>
struct ForwardTiles<BFloat16, 128, true> : TileShape<BFloat16, 128, 4, 2, 6, 2, 1> {};
template <>
struct ForwardTiles<BFloat16, 256, true> : TileShape<BFloat16, 256, 4, 1, 4, 2, 1> {};
template <>
struct ForwardTiles<BFloat16, 64, false> : TileShape<BFloat16, 64, 4, 1, 8, 2, 1> {};
template <>
struct ForwardTiles<BFloat16, 128, false> : TileShape<BFloat16, 128, 4, 1, 8, 2, 1> {};
template <>
struct ForwardTiles<BFloat16, 256, false> : TileShape<BFloat16, 256, 4, 1, 4, 2, 1> {};
template <>
struct ForwardTiles<float, 64, false> : TileShape<float, 64, 4, 1, 2, 2, 1> {};
template <>
struct ForwardTiles<float, 128, false> : TileShape<float, 128, 4, 1, 4, 2, 1> {};
template <>
struct ForwardTiles<float, 256, false> : TileShape<float, 256, 2, 1, 2, 2, 1> {};

/** Queries and doutput stay and keys and values are streamed, or the other way round. */
template <typename T, int kDim>
struct BackwardTiles;
template <>
struct BackwardTiles<BFloat16, 64> : TileShape<BFloat16, 64, 4, 1, 8, 2, 2> {};
template <>
struct BackwardTiles<BFloat16, 128> : TileShape<BFloat16, 128, 4, 1, 4, 2, 2> {};
template <>
struct BackwardTiles<BFloat16, 256> : TileShape<BFloat16, 256, 4, 1, 4, 1, 2> {};
template <>
struct BackwardTiles<float, 64> : TileShape<float, 64, 4, 1, 4, 2, 2> {};
template <>
struct BackwardTiles<float, 128> : TileShape<float, 128, 4, 1, 4, 1, 2> {};
template <>
struct BackwardTiles<float, 256> : TileShape<float, 256, 2, 1, 2, 1, 2> {};

/**
 * Attention by warpgroups: kGroups of them own 64 rows each, of which kHeld tiles stay, and one more brings tiles of
 * kStreamed rows into kStages places, two at a time. kRings: whether the two have barriers of their own (2) or share
 * them. kNotesBytes: what is written beside the tiles of a place. Registers: of a thread that brings, and of one that
 * computes.
 */
template <int kHeadDim, int kOwners, int kRowsOfTile, int kPlaces, int kStay, int kApart, int kNotes, int kFew, int kMany>
struct WarpgroupShape {
  static constexpr int kDim = kHeadDim, kGroups = kOwners, kStreamed = kRowsOfTile, kStages = kPlaces, kHeld = kStay;
  static constexpr int kRings = kApart, kNotesBytes = kNotes;
  static constexpr int kRegistersOfCopies = kFew, kRegistersOfProducts = kMany;
  static constexpr int kOwnerThreads = 128 * kGroups, kThreads = kOwnerThreads + 128, kRows = 64 * kGroups;
  static constexpr int kRowsBytes = 2 * kRows * kDim, kTileBytes = 2 * kStreamed * kDim;
  static constexpr int kTilesBytes = kHeld * kRowsBytes + 2 * kStages * kTileBytes;
  static constexpr int kBarriers = 2 + 2 * kRings * kStages;
  static constexpr int kSharedBytes = kTilesBytes + kStages * kNotesBytes + 8 * kBarriers;
  static_assert(kSharedBytes <= 227 * 1024, "the tiles do not fit in shared memory");
  /** What a thread begins with: registers come by eights. */
  static constexpr int kRegisters = 64 * 1024 / kThreads / 8 * 8;
  static_assert(kOwnerThreads * kMany + 128 * kFew <= kThreads * kRegisters, "there are not as many registers");
  static_assert(kTileBytes % 1024 == 0 && kStreamed % 16 == 0, "slices are of 8 rows, products of 16");
};

/** Queries stay, keys and values are streamed, each with barriers of its own. */
template <int kDim>
struct WarpgroupTiles;
template <>
struct WarpgroupTiles<64> : WarpgroupShape<64, 3, 128, 4, 1, 2, 0, 32, 160> {};
template <>
struct WarpgroupTiles<128> : WarpgroupShape<128, 2, 128, 2, 1, 2, 0, 24, 240> {};
template <>
struct WarpgroupTiles<256> : WarpgroupShape<256, 2, 80, 2, 1, 2, 0, 24, 240> {};

/** Queries and doutput stay, keys and values are streamed, each with barriers of its own. */
template <int kDim>
struct WarpgroupDQueryTiles;
template <>
struct WarpgroupDQueryTiles<64> : WarpgroupShape<64, 3, 96, 4, 2, 2, 0, 32, 160> {};
template <>
struct WarpgroupDQueryTiles<128> : WarpgroupShape<128, 2, 128, 2, 2, 2, 0, 24, 240> {};
template <>
struct WarpgroupDQueryTiles<256> : WarpgroupShape<256, 2, 48, 2, 2, 2, 0, 24, 240> {};

/** Keys and values stay, queries and doutput are streamed; their notes are two numbers a query and those of the tile. */
template <int kHeadDim, int kQueries, int kPlaces>
struct WarpgroupDKeysShape : WarpgroupShape<kHeadDim, 2, kQueries, kPlaces, 2, 1, 8 * kQueries + 32, 40, 232> {};
template <int kDim>
struct WarpgroupDKeysTiles;
template <>
struct WarpgroupDKeysTiles<64> : WarpgroupDKeysShape<64, 128, 4> {};
template <>
struct WarpgroupDKeysTiles<128> : WarpgroupDKeysShape<128, 64, 4> {};
template <>
struct WarpgroupDKeysTiles<256> : WarpgroupDKeysShape<256, 48, 2> {};

/** One warp for each row of a head. */
struct RowWarps {
  static constexpr int kThreads = 128, kSharedBytes = 0, kRows = kThreads / 32;
};

/** One block sums what one thread each has. */
struct BlockSums {
  static constexpr int kThreads = 256, kSharedBytes = 4 * kThreads;
};

constexpr int kNormThreads = 256;
constexpr int kNormWarps = kNormThreads / 32;
/** Bytes in which the warps of a block exchange up to 4 sums. */
constexpr int kSumBytes = 4 * kNormWarps * 4;

/**
 * kLanes threads own a row and hold kChunks chunks of 8 columns each; kChunks = 0: they hold none, and read again, which
 * a warp does up to some length and a block beyond.
 */
template <int kLanes, int kChunks>
struct NormShape {
  static constexpr int kThreads = kNormThreads, kRows = kNormThreads / kLanes;
  static constexpr int kColumns = kChunks > 0 ? 8 * kLanes * kChunks : kLanes < 256 ? 1024 : INT32_MAX;
  /** Rows of partial sums that a block writes: one, or one for each group of lanes. */
  static constexpr int kParts = kChunks > 0 ? 1 : kRows;
};
template <int kLanes, int kChunks>
struct NormForwardShape : NormShape<kLanes, kChunks> {
  static constexpr int kSharedBytes = kSumBytes;
};
/** The partial sums of the block's groups of lanes, one after the other, of one gradient at a time. */
template <int kLanes, int kChunks>
struct NormBackwardShape : NormShape<kLanes, kChunks> {
  static constexpr int kSharedBytes = kChunks > 0 ? kNormThreads * 8 * kChunks * 4 : kSumBytes;
};

/** One thread for each word of two values. */
struct ConvertShape {
  static constexpr int kThreads = 256, kSharedBytes = 0;
};

}  // namespace cuda
}  // namespace tfxf
