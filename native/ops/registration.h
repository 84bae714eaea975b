// SPDX-License-Identifier: Apache-2.0
/** Registers the ops and kernels of this library with the TensorFlow in this process. */
#pragma once

#include "ops/tf_library.h"

namespace tfxf {

/** The signatures of the ops; their names end in it. */
constexpr int kAbi = 1;

struct RegistrationStatus {
  bool ok;
  /** Whether all ops were there: registered by another thread or another copy of this library. */
  bool reused;
  /** Of the copy whose kernels TensorFlow runs, which may be another one; if not ok, of this one. */
  const char* isa;
  int threads;
  TensorFlowLibrary library;
  char reason[kReasonCapacity];  // why not, if not ok
  char gpu[kReasonCapacity];     // the device that CUDA kernels serve, or empty
  char gpu_reason[kReasonCapacity];  // why none does
};

/** May be called any number of times, from any thread; never throws. */
void register_ops(RegistrationStatus& status);

}  // namespace tfxf
