// SPDX-License-Identifier: Apache-2.0
/**
 * What the thread pool needs of the operating system. Not <thread> and <mutex>: their errors are
 * exceptions, which bring a run-time library and newer C library symbols into the addon.
 */
#pragma once

#include <cstdint>

#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#endif

namespace tfxf {

/** A lock; usable without construction, as a static or in zeroed memory. */
class Lock {
 public:
  void lock();
  void unlock();
  /** In the child of a fork, where whoever held the lock is gone. */
  void reset();

 private:
  friend class Condition;
#if defined(_WIN32)
  SRWLOCK handle_ = SRWLOCK_INIT;
#else
  pthread_mutex_t handle_ = PTHREAD_MUTEX_INITIALIZER;
#endif
};

class Condition {
 public:
  /** Gives the lock up while it waits; may wake for no reason. */
  void wait(Lock& lock);
  void wake_one();

 private:
#if defined(_WIN32)
  CONDITION_VARIABLE handle_ = CONDITION_VARIABLE_INIT;
#else
  pthread_cond_t handle_ = PTHREAD_COND_INITIALIZER;
#endif
};

class LockScope {
 public:
  explicit LockScope(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~LockScope() { lock_.unlock(); }
  LockScope(const LockScope&) = delete;
  LockScope& operator=(const LockScope&) = delete;

 private:
  Lock& lock_;
};

/** Starts a thread that runs until the process ends and takes no signals; false where there are too many. */
bool start_thread(void (*body)(void*), void* context);

/** Processors that this process may run on. */
int usable_processors();

/** Of a clock that never goes back. */
int64_t nanoseconds();

/** Calls `child` in every child process that a fork makes. */
void after_fork(void (*child)());

/** A moment's rest in a loop that waits for another processor. */
static inline void spin_pause() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace tfxf
