// SPDX-License-Identifier: Apache-2.0
/** Threads on Windows. */
#if defined(_WIN32)

#include "cpu/parallel.h"
#include "cpu/threads.h"

#include <stdlib.h>

namespace tfxf {

void Lock::lock() { AcquireSRWLockExclusive(&handle_); }
void Lock::unlock() { ReleaseSRWLockExclusive(&handle_); }
void Lock::reset() { InitializeSRWLock(&handle_); }

void Condition::wait(Lock& lock) {
  SleepConditionVariableSRW(&handle_, &lock.handle_, INFINITE, 0);
}
void Condition::wake_one() { WakeConditionVariable(&handle_); }

namespace {

struct Start {
  void (*body)(void*);
  void* context;
};

DWORD WINAPI run_thread(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  free(argument);
  start.body(start.context);
  return 0;
}

}  // namespace

bool start_thread(void (*body)(void*), void* context) {
  Start* start = static_cast<Start*>(malloc(sizeof(Start)));
  if (start == nullptr) return false;
  *start = {body, context};
  const HANDLE thread = CreateThread(nullptr, 0, run_thread, start, 0, nullptr);
  if (thread == nullptr) {
    free(start);
    return false;
  }
  CloseHandle(thread);
  return true;
}

int usable_processors() {
  DWORD_PTR process = 0, system = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &process, &system)) return 1;
  const int count = __builtin_popcountll(process);
  return count > 0 ? count : 1;
}

int64_t nanoseconds() {
  LARGE_INTEGER count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return static_cast<int64_t>(static_cast<double>(count.QuadPart) * 1e9 /
                              static_cast<double>(frequency.QuadPart));
}

void give_way() { SwitchToThread(); }

/** Windows has no fork. */
void after_fork(void (*)()) {}

}  // namespace tfxf

#endif
