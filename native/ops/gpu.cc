// SPDX-License-Identifier: Apache-2.0
/** gpu.h. The driver is opened once in a process, when TensorFlow turns out to have GPUs. */
#include "ops/gpu.h"

#include <stdio.h>
#include <string.h>

namespace tfxf {
namespace {

cuda::Driver driver;
bool is_opened = false;

/** Field device_type of a KernelDef that is "GPU", as protocol buffers write it. */
constexpr unsigned char kGpuField[] = {0x12, 3, 'G', 'P', 'U'};

bool holds_gpu(const TF_Buffer& kernels) {
  const unsigned char* bytes = static_cast<const unsigned char*>(kernels.data);
  for (size_t at = 0; at + sizeof kGpuField <= kernels.length; at++) {
    if (memcmp(bytes + at, kGpuField, sizeof kGpuField) == 0) return true;
  }
  return false;
}

}  // namespace

bool has_gpu_kernel(const char* op) {
  TF_Status* status = tf.NewStatus();
  TF_Buffer* kernels = tf.GetRegisteredKernelsForOp(op, status);
  const bool found = kernels != nullptr && holds_gpu(*kernels);
  if (kernels != nullptr) tf.DeleteBuffer(kernels);
  tf.DeleteStatus(status);
  return found;
}

bool find_gpu(char* name, char* reason, int capacity) {
  const size_t room = static_cast<size_t>(capacity);
  if (!cuda::has_kernels()) {
    snprintf(reason, room, "this build has no CUDA kernels, the CPU kernels serve");
    return false;
  }
  if (!has_gpu_kernel("MatMul")) {
    snprintf(reason, room, "TensorFlow %s has no GPU build, the CPU kernels serve", tf.Version());
    return false;
  }
  if (!is_opened) {
    is_opened = true;
    cuda::open_driver(driver, nullptr);
  }
  cuda::Error error;
  const cuda::Device* device = cuda::ready_device(driver, 0, error);
  if (device == nullptr) {
    snprintf(reason, room, "%s; the CPU kernels serve", error.text);
    return false;
  }
  snprintf(name, room, "%s (compute capability %d.%d), %s; these kernels have not been checked on hardware: docs/cuda.md",
           device->name, device->major, device->minor,
           driver.has_context_events() ? "ordered by context events" : "waited for by the host, as the driver is older than CUDA 12.5");
  return true;
}

cuda::Device* gpu_of(OpCall& call, const void* memory) {
  cuda::Error error;
  cuda::Device* device = cuda::device_of(driver, memory, error);
  if (device == nullptr) call.fail("%s", error.text);
  return device;
}

}  // namespace tfxf
