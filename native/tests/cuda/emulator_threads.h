// SPDX-License-Identifier: Apache-2.0
/** The turns of the emulator's threads, for the files of its instructions: what a thread waits for, and where they meet. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tfxf {
namespace cuda {

struct Copy {
  void* to;
  const void* from;
  int bytes, group;
};

/** What threads meet for: a barrier, or one instruction of a warp. */
struct Meeting {
  const char* what = "";
  int arrived = 0, expected = 0;
  int64_t round = 0;
};

struct Thread {
  std::vector<unsigned char> stack;
  void* place = nullptr;  // of its stack, while it waits
  bool done = false;
  /** It waits, at `what`, until the counter has left this value. */
  const int64_t* counter = nullptr;
  int64_t value = 0;
  const char* what = "";
  std::vector<Copy> copies;
  int group = 0;
};

/** What the lanes of a warp put in and get out. */
struct Warp {
  Meeting meeting;
  uint32_t words[32];
  const unsigned char* rows[32];
  uint32_t a[32][4], b[32][2];
  float* c[32];
  uint32_t* r[32];
  int votes = 0;
  bool vote = false;
};

constexpr int kMostThreads = 1024;

struct Block {
  void (*kernel)(const void*) = nullptr;
  const void* params = nullptr;
  int64_t index = 0;
  int threads = 0, now = 0, left = 0;
  unsigned mode = 0;
  int64_t rests = 0;  // when nobody could go on but those who had let others run
  int resting = 0;
  void* scheduler = nullptr;
  Meeting barrier;
  int votes = 0;
  bool vote = false;
  std::vector<Thread> all{std::vector<Thread>(kMostThreads)};
  std::vector<Warp> warps{std::vector<Warp>(kMostThreads / 32)};
  std::vector<unsigned char> shared;
  unsigned char* shared_begin = nullptr;
  int64_t shared_bytes = 0;
};

/** The one that runs. */
extern Block block;
inline Thread& self() { return block.all[static_cast<size_t>(block.now)]; }
inline Warp& warp() { return block.warps[static_cast<size_t>(block.now / 32)]; }

/** Others run until the counter has left its value. */
void wait_for(const int64_t& counter, const char* what);
/** Others run until none can go on without this one. */
void let_others_run();

/** Waits until all have come; returns whether this thread was the last, which then does the work and calls leave(). */
bool arrive(Meeting& meeting, const char* what);
void leave(Meeting& meeting);

/** Ends the program, in words. */
[[noreturn]] void broken(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

/** Of emulator_hopper.cc: its state is that of a new block; nothing may be left undone at a block's end. */
void begin_groups();
void end_groups();
/** When no thread can go on: lands boxes that somebody waits for; false if there are none. */
bool bring_late_copies();

}  // namespace cuda
}  // namespace tfxf
