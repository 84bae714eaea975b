// SPDX-License-Identifier: Apache-2.0
/**
 * AMX tiles on a processor with AVX512-BF16: included before everything else in the kernels of the table "amxemulated", so
 * that the code for tiles runs where there are none, and under sanitizers, which do not see what tile instructions read.
 */
#pragma once

#include "cpu/simd/vec.h"

#define __AMX_BF16__ 1

namespace tfxf {
namespace TFXF_ISA {

struct EmulatedTile {
  alignas(64) unsigned char rows[16][64];
};
static thread_local EmulatedTile emulated_tiles[8];

/** What _tile_loadconfig reads. */
struct EmulatedShapes {
  unsigned char palette, start_row, reserved[14];
  unsigned short row_bytes[16];
  unsigned char rows[16];
};
static thread_local EmulatedShapes emulated_shapes;

/** Outside of its shape a tile is 0, as the instructions have it. */
TFXF_INLINE void emulated_load(int tile, const void* from, long stride) {
  const unsigned char* p = static_cast<const unsigned char*>(from);
  memset(&emulated_tiles[tile], 0, sizeof(EmulatedTile));
  for (int r = 0; r < emulated_shapes.rows[tile]; r++) {
    memcpy(emulated_tiles[tile].rows[r], p + r * stride, emulated_shapes.row_bytes[tile]);
  }
}

TFXF_INLINE void emulated_store(int tile, void* to, long stride) {
  unsigned char* p = static_cast<unsigned char*>(to);
  for (int r = 0; r < emulated_shapes.rows[tile]; r++) {
    memcpy(p + r * stride, emulated_tiles[tile].rows[r], emulated_shapes.row_bytes[tile]);
  }
}

/** The instruction faults unless the shapes fit. */
TFXF_INLINE bool emulated_shapes_fit(int sums, int a, int b) {
  const EmulatedShapes& s = emulated_shapes;
  return s.rows[sums] == s.rows[a] && s.row_bytes[sums] == s.row_bytes[b] && s.row_bytes[a] == 4 * s.rows[b];
}

TFXF_INLINE void emulated_multiply(int sums, int a, int b) {
  if (!emulated_shapes_fit(sums, a, b)) __builtin_trap();
  for (int m = 0; m < 16; m++) {
    __m512 sum = _mm512_load_ps(emulated_tiles[sums].rows[m]);
    for (int k = 0; k < 16; k++) {
      int pair;
      memcpy(&pair, emulated_tiles[a].rows[m] + 4 * k, 4);
      const __m512i row = _mm512_load_si512(emulated_tiles[b].rows[k]);
      sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)), reinterpret_cast<__m512bh>(row));
    }
    _mm512_store_ps(emulated_tiles[sums].rows[m], sum);
  }
}

}  // namespace TFXF_ISA
}  // namespace tfxf

#define _tile_loadconfig(shapes) memcpy(&emulated_shapes, shapes, sizeof(emulated_shapes))
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
// What is left in the tiles must not reach the next scope.
#define _tile_release() memset(emulated_tiles, 0xff, sizeof(emulated_tiles))
#define _tile_zero(tile) memset(&emulated_tiles[tile], 0, sizeof(emulated_tiles[tile]))
#define _tile_loadd(tile, from, stride) emulated_load(tile, from, stride)
#define _tile_stored(tile, to, stride) emulated_store(tile, to, stride)
#define _tile_dpbf16ps(sums, a, b) emulated_multiply(sums, a, b)
