// SPDX-License-Identifier: Apache-2.0
/**
 * cuda/device.h for the processor that runs the tests: the threads of a block take turns on one thread of the machine,
 * each on a stack of its own, and change places where a barrier, a shuffle or a product of a warp needs the others.
 *
 * It is stricter than a GPU where errors hide. Shared memory holds NaN when a block begins. Asynchronous copies land as
 * late as their wait allows, or at once (kEager), and threads run in order or in reverse: what lacks a wait or a
 * barrier gives other results in one of these. Threads that wait for different things end the program with what each
 * waits for. It shows nothing of speed, of memory ordering finer than barriers, and nothing of the rounding inside of
 * the tensor cores, which keep fewer bits than the float sums here.
 */
#pragma once

#include <cstdint>
#include <cstring>

#define TFXF_DEVICE inline

namespace tfxf {
namespace cuda {

/** How a launch runs: any of these together, numbers below kEmulationModes. */
enum EmulationMode : unsigned { kEager = 1, kReverse = 2, kEarlyBoxes = 4 };
constexpr unsigned kEmulationModes = 8;

/** Runs `kernel(params)` for each thread of each block. */
void emulate(void (*kernel)(const void* params), const void* params, int64_t blocks, int threads, int64_t shared_bytes,
             unsigned mode);

int thread_index();
int64_t block_index();
inline int lane_index() { return thread_index() % 32; }
inline int warp_index() { return thread_index() / 32; }
unsigned char* shared_memory();

void sync_threads();
bool sync_or(bool mine);
void sync_warp();

/** Each lane gives 4 bytes, and gets those of lane `from`. */
uint32_t shuffle_word(uint32_t word, int from);
template <typename T>
T shuffle(T value, int lane) {
  static_assert(sizeof(T) == 4, "shuffles are of words");
  uint32_t word;
  memcpy(&word, &value, 4);
  word = shuffle_word(word, lane);
  memcpy(&value, &word, 4);
  return value;
}
template <typename T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, lane_index() ^ mask);
}

void load_matrices(uint32_t (&r)[4], const void* row);
void load_matrices_transposed(uint32_t (&r)[4], const void* row);
void multiply_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void multiply_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
uint32_t round_tf32(float value);
uint32_t pack_bf16(float low, float high);

void copy_async(void* to, const void* from, int bytes);
void copy_commit();
void copy_wait_for(int pending);
template <int kPending>
void copy_wait() {
  copy_wait_for(kPending);
}

float power_of_two(float x);
float multiply_add(float a, float b, float c);
inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
inline float product(float a, float b) {
  volatile float value = a * b;
  return value;
}
inline float difference(float a, float b) { return a - b; }

}  // namespace cuda
}  // namespace tfxf
