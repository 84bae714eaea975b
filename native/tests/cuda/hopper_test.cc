// SPDX-License-Identifier: Apache-2.0
/**
 * The emulator's products of a warpgroup and boxes of tensor maps against plain loops. The layouts of shared memory are
 * written here once more, from the PTX ISA: what the kernel and the emulator both took for granted would show.
 */
#include <cstring>
#include <memory>
#include <vector>

#include "common/dtype.h"
#include "cuda/device_hopper.h"
#include "tests/random.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

/** Small whole numbers, whose sums are exact: 64 x 32 times 32 x up to 256. */
constexpr int kRows = 64, kDepth = 32;

struct GroupProduct {
  int columns;
  float a[kRows][kDepth], b[256][kDepth], c[kRows][256];
  uint64_t wrong_leading = 0, wrong_stride = 0, wrong_start = 0;  // added to the descriptor of b

  GroupProduct(uint64_t seed, int n) : columns(n) {
    Random random(seed);
    for (auto& row : a) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
    for (auto& row : b) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
    for (auto& row : c) for (float& x : row) x = static_cast<float>(random.integer(-9, 9));
  }
  float wanted(int row, int column, bool with_c) const {
    float sum = with_c ? c[row][column] : 0.0f;
    for (int k = 0; k < kDepth; k++) sum += a[row][k] * b[column][k];
    return sum;
  }
};

void put(unsigned char* shared, int byte, float x) {
  const uint16_t bits = round_bfloat16(x);
  memcpy(shared + byte, &bits, 2);
}

/** Rows of 64 elements; 16-byte chunk c of row r lies at chunk c ^ (r % 8). */
int place_along(int row, int k) { return 128 * row + 16 * ((k / 8) ^ (row % 8)) + 2 * (k % 8); }
/** The same with 64 rows of the matrix in a row of memory; `k_rows` of them make a slice. */
int place_across(int row, int k, int k_rows) {
  return 128 * (row / 64 * k_rows + k) + 16 * ((row % 64 / 8) ^ (k % 8)) + 2 * (row % 8);
}

constexpr int kPlaceOfB = 64 * 128;
float results[128][256 / 8][4], early[128];

/** d of thread t: rows 16 (t / 32) + lane / 4 and + 8, columns 8 n + 2 (lane % 4) and + 1. */
float result_at(int row, int column) {
  const int thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
  return results[thread][column / 8][(row % 16 / 8) * 2 + column % 2];
}

template <int kTiles>
void keep(float (&d)[kTiles][4]) {
  memcpy(results[cuda::thread_index()], d, sizeof d);
}

template <int kTiles>
void run_shared(const void* params) {
  const GroupProduct& p = *static_cast<const GroupProduct*>(params);
  unsigned char* const shared = cuda::shared_memory();
  const int thread = cuda::thread_index();
  for (int n = thread; n < kRows * kDepth; n += 128) put(shared, place_along(n / kDepth, n % kDepth), p.a[n / kDepth][n % kDepth]);
  for (int n = thread; n < 8 * kTiles * kDepth; n += 128) {
    put(shared + kPlaceOfB, place_along(n / kDepth, n % kDepth), p.b[n / kDepth][n % kDepth]);
  }
  cuda::sync_threads();
  float d[kTiles][4];
  for (auto& tile : d) for (float& x : tile) x = 1000.0f;
  const uint64_t a = cuda::matrix_descriptor(shared, 16, 1024);
  const uint64_t b = cuda::matrix_descriptor(shared + kPlaceOfB, 16, 1024) + p.wrong_start + (p.wrong_stride << 32) +
                     (p.wrong_leading << 16);
  cuda::group_products_begin();
  cuda::multiply_group<false>(d, a, b);
  cuda::multiply_group<true>(d, a + cuda::step_of(32), b + cuda::step_of(32));
  cuda::group_products_commit();
  early[thread] = d[0][0];
  cuda::group_products_wait<0>();
  keep(d);
}

template <int kTiles>
void run_registers(const void* params) {
  const GroupProduct& p = *static_cast<const GroupProduct*>(params);
  unsigned char* const shared = cuda::shared_memory();
  const int thread = cuda::thread_index(), g = thread % 32 / 4, t = thread % 4;
  for (int n = thread; n < 8 * kTiles * kDepth; n += 128) {
    put(shared, place_across(n / kDepth, n % kDepth, kDepth), p.b[n / kDepth][n % kDepth]);
  }
  cuda::sync_threads();
  float d[kTiles][4];
  for (int n = 0; n < kTiles; n++) {
    for (int c = 0; c < 4; c++) d[n][c] = p.c[thread / 32 * 16 + g + c / 2 * 8][8 * n + 2 * t + c % 2];
  }
  uint32_t a[2][4];
  for (int n = 0; n < 8; n++) {
    const float* const row = p.a[thread / 32 * 16 + g + n % 2 * 8] + n / 4 * 16 + n % 4 / 2 * 8 + 2 * t;
    a[n / 4][n % 4] = round_bfloat16(row[0]) | static_cast<uint32_t>(round_bfloat16(row[1])) << 16;
  }
  const uint64_t b = cuda::matrix_descriptor(shared, 128 * kDepth, 1024) + p.wrong_start + (p.wrong_stride << 32) +
                     (p.wrong_leading << 16);
  cuda::group_products_begin();
  for (int k = 0; k < 2; k++) cuda::multiply_group(d, a[k], b + cuda::step_of(2048 * k));
  cuda::group_products_commit();
  cuda::group_products_wait<0>();
  keep(d);
}

/** How many of the results are not those wanted. */
int wrong_results(const GroupProduct& p, bool with_c) {
  int wrong = 0;
  for (int row = 0; row < kRows; row++) {
    for (int n = 0; n < p.columns; n++) wrong += result_at(row, n) != p.wanted(row, n, with_c) ? 1 : 0;
  }
  return wrong;
}

TFXF_TEST(group_products, "cuda/hopper/products of a warpgroup are those of the PTX ISA") {
  for (unsigned mode = 0; mode < 4; mode++) {
    const auto check = [&](int columns, void (*kernel)(const void*), bool with_c) {
      const GroupProduct p(mode * 1000 + static_cast<uint64_t>(columns), columns);
      cuda::emulate(kernel, &p, 1, 128, 64 * 1024, mode);
      TFXF_CHECK(wrong_results(p, with_c) == 0);
    };
    check(48, run_shared<6>, false);
    check(64, run_shared<8>, false);
    check(96, run_shared<12>, false);
    check(80, run_shared<10>, false);
    TFXF_CHECK((early[77] == 1000.0f) == ((mode & cuda::kEager) == 0));
    check(128, run_shared<16>, false);
    check(64, run_registers<8>, true);
    check(128, run_registers<16>, true);
    check(256, run_registers<32>, true);
  }
}

TFXF_TEST(descriptors, "cuda/hopper/a wrong descriptor gives wrong results") {
  const auto spoils = [](void (*change)(GroupProduct&), bool across) {
    GroupProduct p(5, 128);
    change(p);
    cuda::emulate(across ? run_registers<16> : run_shared<16>, &p, 1, 128, 64 * 1024, 0);
    return wrong_results(p, across) > 0;
  };
  for (const bool across : {false, true}) {
    TFXF_CHECK(!spoils([](GroupProduct&) {}, across));
    TFXF_CHECK(spoils([](GroupProduct& p) { p.wrong_start = 1; }, across));
    TFXF_CHECK(spoils([](GroupProduct& p) { p.wrong_stride = 8; }, across));
    TFXF_CHECK(spoils([](GroupProduct& p) { p.wrong_leading = 8; }, across) == across);  // K-major ones do not use it
  }
}

/** [B 2, M 5, H 3, D 40] with gaps, and the box at column 0, row 3 of head 1 of item 1: 8 rows, 64 columns. */
struct MapCall {
  std::vector<uint16_t> data = std::vector<uint16_t>(2 * 1200);
  cuda::TensorMap map;
  uint64_t sizes[4] = {40, 5, 3, 2}, steps[3] = {2 * 160, 2 * 48, 2 * 1000};
  unsigned box[4] = {64, 8, 1, 1};

  MapCall() {
    for (size_t n = 0; n < data.size(); n++) data[n] = static_cast<uint16_t>(n + 1);
  }
  uint16_t* begin() {  // at a multiple of 16 bytes
    return reinterpret_cast<uint16_t*>((reinterpret_cast<uintptr_t>(data.data()) + 15) / 16 * 16);
  }
};

uint16_t landed[2][8][64], before_wait;

void run_copy(const void* params) {
  const MapCall& call = *static_cast<const MapCall*>(params);
  unsigned char* const shared = cuda::shared_memory();
  cuda::SharedBarrier* const barrier = reinterpret_cast<cuda::SharedBarrier*>(shared + 2048);
  if (cuda::thread_index() == 0) {
    cuda::barrier_init(barrier, 1);
    cuda::barrier_init_done();
  }
  cuda::sync_threads();
  for (int n = 0; n < 2; n++) {  // two phases of one barrier
    if (cuda::thread_index() == 0) {
      cuda::barrier_expect(barrier, 1024);
      cuda::tile_copy(shared + 1024 * n, call.map, barrier, 0, 3 - 2 * n, 1, 1);
      memcpy(&before_wait, shared + 1024 * n, 2);
    }
    cuda::barrier_wait(barrier, n);
    for (int row = 0; row < 8; row++) {
      const int column = cuda::thread_index();
      memcpy(&landed[n][row][column], shared + 1024 * n + place_along(row, column), 2);
    }
    cuda::sync_threads();
  }
}

TFXF_TEST(boxes, "cuda/hopper/boxes of a tensor map land swizzled, with zeros outside, when they are waited for or at once") {
  for (unsigned mode = 0; mode < cuda::kEmulationModes; mode++) {
    MapCall call;
    TFXF_CHECK(cuda::encode_map(&call.map, call.begin(), call.sizes, call.steps, call.box));
    cuda::emulate(run_copy, &call, 1, 64, 4096, mode);
    TFXF_CHECK((before_wait == 0xffff) == ((mode & (cuda::kEager | cuda::kEarlyBoxes)) == 0));
    for (int n = 0; n < 2; n++) {
      for (int row = 0; row < 8; row++) {
        for (int column = 0; column < 64; column++) {
          const int at = 3 - 2 * n + row;
          const bool inside = at < 5 && column < 40;
          TFXF_CHECK(landed[n][row][column] == (inside ? call.begin()[1000 + 48 + 160 * at + column] : 0));
        }
      }
    }
  }
}

TFXF_TEST(map_limits, "cuda/hopper/maps are refused where cuda.h says so") {
  MapCall call;
  const auto made = [&](const void* data) { return cuda::encode_map(&call.map, data, call.sizes, call.steps, call.box); };
  TFXF_CHECK(made(call.begin()));
  TFXF_CHECK(!made(call.begin() + 4));
  call.steps[1] += 8;
  TFXF_CHECK(!made(call.begin()));
  call.steps[1] -= 8;
  call.box[1] = 257;
  TFXF_CHECK(!made(call.begin()));
  call.box[1] = 8;
  call.sizes[2] = 0;
  TFXF_CHECK(!made(call.begin()));
}

std::vector<int> order;
bool votes[2][64];

/** Two warps begin in turns, the second one first; a thread that only passes the turn on does not wait. */
void run_turns(const void*) {
  const int warp = cuda::warp_index();
  if (warp == 0) cuda::group_arrive(2, 64);
  for (int n = 0; n < 3; n++) {
    cuda::group_sync(1 + warp, 64);
    if (cuda::lane_index() == 0) order.push_back(warp);
    if (warp == 1 || n < 2) cuda::group_arrive(2 - warp, 64);
  }
  votes[0][cuda::thread_index()] = cuda::group_sync_or(5, 64, cuda::thread_index() == 40);
  votes[1][cuda::thread_index()] = cuda::group_sync_or(5, 64, false) || cuda::any_lane(cuda::thread_index() == 3);
}

TFXF_TEST(turns, "cuda/hopper/barriers of some threads give turns, and votes") {
  for (unsigned mode = 0; mode < 4; mode++) {
    order.clear();
    cuda::emulate(run_turns, nullptr, 1, 64, 0, mode);
    TFXF_CHECK((order == std::vector<int>{1, 0, 1, 0, 1, 0}));
    for (int n = 0; n < 64; n++) TFXF_CHECK(votes[0][n] && votes[1][n] == (n < 32));
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf
