// SPDX-License-Identifier: Apache-2.0
/**
 * The ops on TensorFlow's GPUs: whether there are any that the CUDA kernels run on, and a run of kernels among
 * TensorFlow's own work (cuda/driver.h has the order).
 */
#pragma once

#include "cuda/launch.h"
#include "ops/op_call.h"

namespace tfxf {

/** Whether TensorFlow in this process has kernels for the device GPU, for this op or, of its own, for MatMul. */
bool has_gpu_kernel(const char* op);

/** Whether the ops can be registered for GPUs: either the device's name or the reason is written, both of this capacity. */
bool find_gpu(char* name, char* reason, int capacity);

/** The ready device that this memory is on; null, and the call fails, if it cannot be had. */
cuda::Device* gpu_of(OpCall& call, const void* memory);

/** Calls enqueue(device, error) between TensorFlow's work before and after. */
template <typename Enqueue>
void run_on_gpu(OpCall& call, const void* memory, const Enqueue& enqueue) {
  if (!call.ok()) return;
  cuda::Device* device = gpu_of(call, memory);
  if (device == nullptr) return;
  cuda::Error error;
  {
    const cuda::DeviceScope scope(*device, error);
    if (scope.ok() && cuda::begin_after_context(*device, error)) {
      cuda::Error after;
      enqueue(*device, error);
      // Also after an error: part of the work may be under way, and its memory goes back to TensorFlow.
      if (!cuda::end_before_context(*device, after)) error.fail("%s", after.text);
    }
  }
  if (error.failed) call.fail("%s", error.text);
}

}  // namespace tfxf
