// SPDX-License-Identifier: Apache-2.0
/** Threads on Linux and macOS. */
#if !defined(_WIN32)

#include "cpu/parallel.h"
#include "cpu/threads.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace tfxf {

void Lock::lock() { pthread_mutex_lock(&handle_); }
void Lock::unlock() { pthread_mutex_unlock(&handle_); }
void Lock::reset() { handle_ = PTHREAD_MUTEX_INITIALIZER; }

void Condition::wait(Lock& lock) { pthread_cond_wait(&handle_, &lock.handle_); }
void Condition::wake_one() { pthread_cond_signal(&handle_); }

namespace {

struct Start {
  void (*body)(void*);
  void* context;
};

void* run_thread(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  free(argument);
#if defined(__linux__)
  prctl(PR_SET_NAME, "tfjs-xformers");
#endif
  start.body(start.context);
  return nullptr;
}

/** Signals are for the threads of Node; those that say that this thread itself failed stay. */
void block_signals(sigset_t* before) {
  sigset_t blocked;
  sigfillset(&blocked);
  const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
  for (const int signal : own) sigdelset(&blocked, signal);
  pthread_sigmask(SIG_SETMASK, &blocked, before);
}

}  // namespace

bool start_thread(void (*body)(void*), void* context) {
  Start* start = static_cast<Start*>(malloc(sizeof(Start)));
  if (start == nullptr) return false;
  *start = {body, context};
  sigset_t before;
  block_signals(&before);
  pthread_t thread;
  const bool started = pthread_create(&thread, nullptr, run_thread, start) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) {
    pthread_detach(thread);
  } else {
    free(start);
  }
  return started;
}

int usable_processors() {
#if defined(__linux__)
  // Room for 8,192 processors; the fixed cpu_set_t has it for 1,024.
  unsigned long set[128];
  if (sched_getaffinity(0, sizeof set, reinterpret_cast<cpu_set_t*>(set)) == 0) {
    return CPU_COUNT_S(sizeof set, reinterpret_cast<cpu_set_t*>(set));
  }
#endif
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<int>(count) : 1;
}

int64_t nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

void give_way() { sched_yield(); }

void after_fork(void (*child)()) { pthread_atfork(nullptr, nullptr, child); }

}  // namespace tfxf

#endif
