// SPDX-License-Identifier: Apache-2.0
/**
 * The emulator's instructions of a warp against the tables of the PTX ISA, written here once more, element by element:
 * what the kernels and the emulator both took for granted would show as a wrong product.
 */
#include "tests/cuda/emulator.h"

#include <vector>

#include "common/dtype.h"
#include "tests/random.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

/** Small whole numbers, which every storage type holds and whose sums are exact. */
struct Product {
  int depth;
  bool bf16;
  float a[16][16], b[16][8], c[16][8];

  Product(uint64_t seed, int k, bool is_bf16) : depth(k), bf16(is_bf16) {
    Random random(seed);
    for (auto& row : a) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
    for (auto& row : b) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
    for (auto& row : c) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
  }
  float wanted(int row, int column) const {
    float sum = c[row][column];
    for (int k = 0; k < depth; k++) sum += a[row][k] * b[k][column];
    return sum;
  }
};

uint32_t pair(float low, float high) { return round_bfloat16(low) | static_cast<uint32_t>(round_bfloat16(high)) << 16; }

float results[32][4];

/** mma.m16n8k16, .bf16: element i of A is at row g (i = 0 1 4 5) or g + 8, column 2t + (i & 1), + 8 from i = 4 on. */
void run_bf16(const void* params) {
  const Product& p = *static_cast<const Product*>(params);
  const int lane = cuda::lane_index(), g = lane >> 2, t = lane % 4;
  float element[8];
  for (int i = 0; i < 8; i++) {
    const int row = i < 2 || (i >= 4 && i < 6) ? g : g + 8;
    element[i] = p.a[row][t * 2 + (i & 1) + (i >= 4 ? 8 : 0)];
  }
  uint32_t a[4], b[2];
  for (int n = 0; n < 4; n++) a[n] = pair(element[2 * n], element[2 * n + 1]);
  for (int n = 0; n < 2; n++) b[n] = pair(p.b[t * 2 + 8 * n][g], p.b[t * 2 + 1 + 8 * n][g]);
  float c[4];
  for (int i = 0; i < 4; i++) c[i] = p.c[i < 2 ? g : g + 8][t * 2 + (i & 1)];
  cuda::multiply_bf16(c, a, b[0], b[1]);
  for (int i = 0; i < 4; i++) results[lane][i] = c[i];
}

/** mma.m16n8k8, .tf32: a0 a2 in row g, a1 a3 in row g + 8; a0 a1 in column t, a2 a3 in column t + 4. */
void run_tf32(const void* params) {
  const Product& p = *static_cast<const Product*>(params);
  const int lane = cuda::lane_index(), g = lane >> 2, t = lane % 4;
  uint32_t a[4];
  for (int i = 0; i < 4; i++) {
    a[i] = cuda::round_tf32(p.a[i == 0 || i == 2 ? g : g + 8][i < 2 ? t : t + 4]);
  }
  float c[4];
  for (int i = 0; i < 4; i++) c[i] = p.c[i < 2 ? g : g + 8][t * 2 + (i & 1)];
  cuda::multiply_tf32(c, a, cuda::round_tf32(p.b[t][g]), cuda::round_tf32(p.b[t + 4][g]));
  for (int i = 0; i < 4; i++) results[lane][i] = c[i];
}

TFXF_TEST(products, "cuda/emulator/products of a warp are those of the PTX ISA") {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    for (const bool bf16 : {true, false}) {
      const Product p(seed, bf16 ? 16 : 8, bf16);
      cuda::emulate(bf16 ? run_bf16 : run_tf32, &p, 1, 32, 0, static_cast<unsigned>(seed & 3));
      for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 4; i++) {
          TFXF_CHECK(results[lane][i] == p.wanted(lane / 4 + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)));
        }
      }
    }
  }
}

uint32_t loaded[2][32][4];

/** Row r of matrix m holds the 16-bit numbers 64 m + 8 r …; lane 8 m + r names it. */
void run_load(const void*) {
  uint16_t* const shared = reinterpret_cast<uint16_t*>(cuda::shared_memory());
  const int lane = cuda::lane_index();
  for (int n = 0; n < 8; n++) shared[8 * lane + n] = static_cast<uint16_t>(8 * lane + n);
  cuda::sync_threads();
  cuda::load_matrices(loaded[0][lane], shared + 8 * lane);
  cuda::load_matrices_transposed(loaded[1][lane], shared + 8 * lane);
}

TFXF_TEST(matrices, "cuda/emulator/ldmatrix gives each lane its words, as they stand and transposed") {
  for (unsigned mode = 0; mode < 4; mode++) {
    cuda::emulate(run_load, nullptr, 1, 32, 512, mode);
    for (uint32_t lane = 0; lane < 32; lane++) {
      const uint32_t g = lane / 4, t = lane % 4;
      for (uint32_t m = 0; m < 4; m++) {
        const uint32_t word = 64 * m + 8 * g + 2 * t, turned = 64 * m + 8 * (2 * t) + g;
        TFXF_CHECK(loaded[0][lane][m] == (word | (word + 1) << 16));
        TFXF_CHECK(loaded[1][lane][m] == (turned | (turned + 8) << 16));
      }
    }
  }
}

uint32_t seen[64];

/** What a copy brings is there after its wait, and not before unless it lands at once. */
void run_copy(const void* params) {
  uint32_t* const shared = reinterpret_cast<uint32_t*>(cuda::shared_memory());
  const int n = cuda::thread_index();
  cuda::copy_async(shared + 4 * n, static_cast<const uint32_t*>(params) + 4 * n, n % 2 == 0 ? 16 : 0);
  cuda::copy_commit();
  const uint32_t before = shared[4 * n];
  cuda::copy_wait<0>();
  cuda::sync_threads();
  seen[n] = before == 0xffffffffu ? 1u : 0u;
  seen[32 + n] = shared[4 * ((n + 1) % 32)];
}

TFXF_TEST(copies, "cuda/emulator/copies land with their wait, or at once, and zeros where nothing is read") {
  alignas(16) uint32_t numbers[128];
  for (uint32_t n = 0; n < 128; n++) numbers[n] = n + 1;
  for (unsigned mode = 0; mode < 4; mode++) {
    cuda::emulate(run_copy, numbers, 1, 32, 512, mode);
    for (uint32_t n = 0; n < 32; n++) {
      TFXF_CHECK(seen[n] == ((mode & cuda::kEager) == 0 ? 1u : 0u));
      const uint32_t from = (n + 1) % 32;
      TFXF_CHECK(seen[32 + n] == (from % 2 == 0 ? 4 * from + 1 : 0u));
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
