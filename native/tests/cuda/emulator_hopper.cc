// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_hopper.h"

#include <cmath>
#include <deque>
#include <map>

#include "common/dtype.h"
#include "tests/cuda/emulator_threads.h"

namespace tfxf {
namespace cuda {
namespace {

/** Shared memory does not begin at 0 on the device either: a forgotten base shows. */
constexpr uint32_t kSharedBase = 1024;
constexpr int kNamedBarriers = 16;

/** A tensor map, as encode_map() writes it. */
struct MapImage {
  uint64_t magic;
  const uint8_t* data;
  uint64_t sizes[4], steps[4];  // steps in bytes; columns follow each other
  uint32_t box[2];              // columns, rows
};
static_assert(sizeof(MapImage) <= sizeof(TensorMap), "a map has 128 bytes");
constexpr uint64_t kMagic = 0x54465846204d4150u;

struct Box {
  unsigned char* to;
  MapImage map;
  int64_t at[4];
};

struct CountingBarrier {
  int count = 0, pending = 0;
  int waiting = 0;  // threads
  int64_t bytes = 0, phase = 0;
  std::deque<Box> boxes;
};

struct NamedBarrier {
  int arrived = 0, expected = 0, votes = 0;
  bool vote = false;
  int64_t round = 0;
};

/** One product of a warp's 16 rows, with the lanes' registers. */
struct Product {
  float* d[32];
  const uint32_t* words[32];
  uint64_t a, b;
  int tiles;
  bool from_registers, add;
  int64_t group;
};

struct WarpProducts {
  Product next;
  std::deque<Product> waiting;
  int64_t group = 0;
};

std::map<const void*, CountingBarrier> barriers;
NamedBarrier named[kNamedBarriers];
WarpProducts products[kMostThreads / 32];

CountingBarrier& barrier_of(const SharedBarrier* at) {
  const auto found = barriers.find(at);
  if (found == barriers.end()) broken("thread %d uses a barrier that nobody initialized", block.now);
  return found->second;
}

void end_phase_if_complete(CountingBarrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.count;
  barrier.phase++;
}

void count_arrival(CountingBarrier& barrier) {
  if (barrier.pending == 0) broken("thread %d arrives at a barrier that expects nobody more in this phase", block.now);
  barrier.pending--;
  end_phase_if_complete(barrier);
}

/** The byte of shared memory at an address of its instructions. */
unsigned char* shared_byte(uint32_t address, int64_t bytes) {
  const int64_t at = static_cast<int64_t>(address) - kSharedBase;
  if (at < 0 || at + bytes > block.shared_bytes) broken("shared memory has no %lld bytes at %u", static_cast<long long>(bytes), address);
  return block.shared_begin + at;
}

/** Swizzling of 128 bytes: address bits 4 to 6 by bits 7 to 9. */
uint32_t swizzled_address(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

void land(const Box& box) {
  const MapImage& map = box.map;
  const uint32_t begin = shared_address(box.to);
  if (begin % 128 != 0) broken("a box is to land at %u, which is no multiple of 128", begin);
  for (uint32_t row = 0; row < map.box[1]; row++) {
    for (uint32_t column = 0; column < map.box[0]; column++) {
      const int64_t at[] = {box.at[0] + column, box.at[1] + row, box.at[2], box.at[3]};
      const uint8_t* from = map.data;
      for (int axis = 0; axis < 4 && from != nullptr; axis++) {
        const bool inside = at[axis] >= 0 && static_cast<uint64_t>(at[axis]) < map.sizes[axis];
        from = inside ? from + static_cast<uint64_t>(at[axis]) * map.steps[axis] : nullptr;
      }
      unsigned char* const to = shared_byte(swizzled_address(begin + 128 * row + 2 * column), 2);
      from != nullptr ? static_cast<void>(memcpy(to, from, 2)) : static_cast<void>(memset(to, 0, 2));
    }
  }
}

void land_all(CountingBarrier& barrier) {
  while (!barrier.boxes.empty()) {
    const Box box = barrier.boxes.front();
    barrier.boxes.pop_front();
    land(box);
    barrier.bytes -= 2 * static_cast<int64_t>(box.map.box[0]) * box.map.box[1];
    end_phase_if_complete(barrier);
  }
}

/** A matrix in shared memory by its descriptor: 16 columns of k, any number of rows. */
struct Matrix {
  uint32_t start, leading, stride;

  explicit Matrix(uint64_t bits)
      : start(static_cast<uint32_t>(bits & 0x3fff) << 4),
        leading(static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4),
        stride(static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4) {
    if (bits >> 62 != 1) broken("a matrix that is not swizzled by 128 bytes is not emulated");
    if ((bits >> 49 & 7) != 0) broken("a matrix with a base offset is not emulated");
  }
  /** k along the rows of memory: the canonical layout of K-major matrices, whose leading offset is not used. */
  float along(uint32_t row, uint32_t k) const { return at(start + row / 8 * stride + row % 8 * 128 + 2 * k); }
  /** k across: that of MN-major ones, 64 rows of the matrix in one row of memory. */
  float across(uint32_t row, uint32_t k) const {
    return at(start + row / 64 * leading + k / 8 * stride + k % 8 * 128 + 2 * (row % 64));
  }

 private:
  static float at(uint32_t address) {
    uint16_t bits;
    memcpy(&bits, shared_byte(swizzled_address(address & 0x3ffff), 2), 2);
    return widen_bfloat16(bits);
  }
};

void read_rows(const Product& p, uint32_t warp_of_group, float (&a)[16][16]) {
  if (p.from_registers) {
    for (int lane = 0; lane < 32; lane++) {
      for (int n = 0; n < 4; n++) {
        const uint32_t word = p.words[lane][n];
        float* const to = &a[lane / 4 + 8 * (n % 2)][2 * (lane % 4) + 8 * (n / 2)];
        to[0] = widen_bfloat16(static_cast<uint16_t>(word));
        to[1] = widen_bfloat16(static_cast<uint16_t>(word >> 16));
      }
    }
    return;
  }
  const Matrix matrix(p.a);
  for (uint32_t row = 0; row < 16; row++) {
    for (uint32_t k = 0; k < 16; k++) a[row][k] = matrix.along(16 * warp_of_group + row, k);
  }
}

void run(const Product& p, uint32_t warp_of_group) {
  float a[16][16], b[16][256], sums[256];
  const uint32_t columns = 8 * static_cast<uint32_t>(p.tiles);
  read_rows(p, warp_of_group, a);
  const Matrix right(p.b);
  for (uint32_t n = 0; n < columns; n++) {
    for (uint32_t k = 0; k < 16; k++) b[k][n] = p.from_registers ? right.across(n, k) : right.along(n, k);
  }
  for (uint32_t row = 0; row < 16; row++) {
    const auto place = [&](uint32_t n) {
      return p.d[row % 8 * 4 + n % 8 / 2] + 4 * (n / 8) + 2 * (row / 8) + n % 2;
    };
    for (uint32_t n = 0; n < columns; n++) sums[n] = p.add ? *place(n) : 0.0f;
    for (uint32_t k = 0; k < 16; k++) {
      for (uint32_t n = 0; n < columns; n++) sums[n] += a[row][k] * b[k][n];
    }
    for (uint32_t n = 0; n < columns; n++) *place(n) = sums[n];
  }
}

uint32_t warp_number() { return static_cast<uint32_t>(block.now) / 32; }

NamedBarrier& join_named(int id, int threads) {
  NamedBarrier& barrier = named[id];
  if (barrier.arrived > 0 && barrier.expected != threads) broken("barrier %d is of %d threads, and of %d", id, barrier.expected, threads);
  barrier.expected = threads;
  if (++barrier.arrived == threads) {
    barrier.arrived = 0;
    barrier.vote = barrier.votes > 0;
    barrier.votes = 0;
    barrier.round++;
  }
  return barrier;
}

}  // namespace

void begin_groups() {
  barriers.clear();
  for (NamedBarrier& barrier : named) barrier = NamedBarrier();
  for (WarpProducts& warp : products) warp = WarpProducts();
}

void end_groups() {
  for (int id = 0; id < kNamedBarriers; id++) {
    if (named[id].arrived != 0) broken("block %lld ends with %d threads at barrier %d", static_cast<long long>(block.index), named[id].arrived, id);
  }
  for (const WarpProducts& warp : products) {
    if (!warp.waiting.empty()) broken("block %lld ends with products that nobody waited for", static_cast<long long>(block.index));
  }
  for (const auto& entry : barriers) {
    const CountingBarrier& barrier = entry.second;
    if (barrier.bytes != 0 || !barrier.boxes.empty()) broken("block %lld ends with copies that nobody waited for", static_cast<long long>(block.index));
  }
}

bool bring_late_copies() {
  bool some = false;
  for (auto& entry : barriers) {
    some = some || (entry.second.waiting > 0 && !entry.second.boxes.empty());
    if (entry.second.waiting > 0) land_all(entry.second);
  }
  return some;
}

void barrier_init(SharedBarrier* at, int count) {
  CountingBarrier& barrier = barriers[at];
  barrier = CountingBarrier();
  barrier.count = barrier.pending = count;
}

void barrier_expect(SharedBarrier* at, int bytes) {
  CountingBarrier& barrier = barrier_of(at);
  barrier.bytes += bytes;
  count_arrival(barrier);
}

void barrier_arrive(SharedBarrier* at) {
  count_arrival(barrier_of(at));
  if ((block.mode & kReverse) == 0) let_others_run();
}

void barrier_wait(SharedBarrier* at, int parity) {
  CountingBarrier& barrier = barrier_of(at);
  if ((barrier.phase & 1) != parity) return;
  barrier.waiting++;
  wait_for(barrier.phase, "a barrier in shared memory");
  barrier.waiting--;
}

void tile_copy(void* to, const TensorMap& map, SharedBarrier* at, int column, int row, int head, int batch) {
  CountingBarrier& barrier = barrier_of(at);
  Box box = {static_cast<unsigned char*>(to), {}, {column, row, head, batch}};
  memcpy(&box.map, &map, sizeof box.map);
  if (box.map.magic != kMagic) broken("this is no tensor map");
  barrier.boxes.push_back(box);
  if ((block.mode & (kEager | kEarlyBoxes)) != 0) land_all(barrier);
}

void group_sync(int id, int threads) {
  const int64_t round = named[id].round;
  NamedBarrier& barrier = join_named(id, threads);
  if (barrier.round == round) wait_for(barrier.round, "a barrier of some threads");
}

void group_arrive(int id, int threads) { join_named(id, threads); }

bool group_sync_or(int id, int threads, bool mine) {
  named[id].votes += mine ? 1 : 0;
  group_sync(id, threads);
  return named[id].vote;
}

bool any_lane(bool mine) {
  Warp& w = warp();
  w.votes += mine ? 1 : 0;
  if (arrive(w.meeting, "any_lane")) {
    w.vote = w.votes > 0;
    w.votes = 0;
    leave(w.meeting);
  }
  return w.vote;
}

uint32_t shared_address(const void* pointer) {
  const int64_t at = static_cast<const unsigned char*>(pointer) - block.shared_begin;
  if (at < 0 || at >= block.shared_bytes) broken("thread %d takes the shared address of something else", block.now);
  return static_cast<uint32_t>(at) + kSharedBase;
}

void multiply_group_of(float* d, int tiles, uint64_t a, const uint32_t* words, uint64_t b, bool add) {
  WarpProducts& mine = products[warp_number()];
  mine.next.d[block.now % 32] = d;
  mine.next.words[block.now % 32] = words;
  Warp& w = warp();
  if (!arrive(w.meeting, "multiply_group")) return;
  Product& p = mine.next;
  p.a = a;
  p.b = b;
  p.tiles = tiles;
  p.from_registers = words != nullptr;
  p.add = add;
  p.group = mine.group;
  if ((block.mode & kEager) != 0) run(p, warp_number() % 4);
  mine.waiting.push_back(p);
  leave(w.meeting);
}

void group_products_commit() {
  Warp& w = warp();
  if (!arrive(w.meeting, "group_products_commit")) return;
  products[warp_number()].group++;
  leave(w.meeting);
}

void group_products_wait_for(int pending) {
  Warp& w = warp();
  if (!arrive(w.meeting, "group_products_wait")) return;
  WarpProducts& mine = products[warp_number()];
  while (!mine.waiting.empty() && mine.waiting.front().group < mine.group - pending) {
    if ((block.mode & kEager) == 0) run(mine.waiting.front(), warp_number() % 4);
    mine.waiting.pop_front();
  }
  leave(w.meeting);
}

bool encode_map(void* map, const void* data, const uint64_t* sizes, const uint64_t* steps, const unsigned* box) {
  MapImage image = {kMagic, static_cast<const uint8_t*>(data), {}, {2, 0, 0, 0}, {box[0], box[1]}};
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || reinterpret_cast<uintptr_t>(data) % 16 != 0) return false;
  if (box[0] * 2 > 128 || box[0] * 2 % 16 != 0 || box[1] > 256 || box[1] < 1 || box[2] != 1 || box[3] != 1) return false;
  for (int axis = 0; axis < 4; axis++) {
    if (sizes[axis] < 1 || sizes[axis] > uint64_t{1} << 32) return false;
    image.sizes[axis] = sizes[axis];
    if (axis == 3) break;
    if (steps[axis] % 16 != 0 || steps[axis] >= uint64_t{1} << 40) return false;
    image.steps[axis + 1] = steps[axis];
  }
  memcpy(map, &image, sizeof image);
  return true;
}

}  // namespace cuda
}  // namespace tfxf
