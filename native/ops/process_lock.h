// SPDX-License-Identifier: Apache-2.0
/**
 * A lock that all copies of this library in a process share, though they share no variables: what
 * they have in common is the C library (or the kernel), so the lock is one of its own.
 */
#pragma once

#if defined(_WIN32)
#include <stdio.h>
#include <windows.h>
#else
#include <stdio.h>
#endif

namespace tfxf {

#if defined(_WIN32)

/** A named mutex; the name holds the process's number. */
class ProcessLock {
 public:
  ProcessLock() {
    char name[64];
    snprintf(name, sizeof name, "Local\\tfjs-xformers-%lu", GetCurrentProcessId());
    mutex_ = CreateMutexA(nullptr, FALSE, name);
    if (mutex_ != nullptr) WaitForSingleObject(mutex_, INFINITE);
  }
  ~ProcessLock() {
    if (mutex_ == nullptr) return;
    ReleaseMutex(mutex_);
    CloseHandle(mutex_);
  }

 private:
  HANDLE mutex_;
};

#else

/** The lock of the stream stdin. Node reads its input from the file descriptor, past this stream. */
class ProcessLock {
 public:
  ProcessLock() { flockfile(stdin); }
  ~ProcessLock() { funlockfile(stdin); }
};

#endif

}  // namespace tfxf
