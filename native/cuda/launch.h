// SPDX-License-Identifier: Apache-2.0
/**
 * The kernels as plain functions: the structs of cpu/attention.h and cpu/norm.h, with device pointers for tensors and
 * workspace and host pointers for the lists of a mask. TensorFlow's ops, the test program and the benchmark call these.
 *
 * Each call checks its arguments, enqueues its kernels on the device's stream and returns; it needs a DeviceScope, and
 * orders nothing with other streams (driver.h). It returns false, with the reason in `error`, where it enqueued nothing
 * useful. Workspaces are device memory, aligned to 256 bytes, free again when the stream has got there.
 *
 * Limits: key_dim and value_dim up to 256. Results are the same bit for bit in every run on a device; how keys are
 * split for few queries follows from the shape and the device's number of multiprocessors.
 */
#pragma once

#include "cpu/attention.h"
#include "cpu/norm.h"
#include "cuda/driver.h"

namespace tfxf {
namespace cuda {

constexpr int64_t kMostDim = 256;

int64_t attention_forward_workspace(const Device& device, const AttentionArgs& args);
bool attention_forward(Device& device, const AttentionForwardArgs& args, Error& error);

/** Looks at the outputs that are wanted, not at the inputs' data. */
int64_t attention_backward_workspace(const AttentionBackwardArgs& args);
bool attention_backward(Device& device, const AttentionBackwardArgs& args, Error& error);

bool norm_forward(Device& device, const NormForwardArgs& args, Error& error);
int64_t norm_backward_workspace(const NormBackwardArgs& args);
bool norm_backward(Device& device, const NormBackwardArgs& args, Error& error);

bool pack_bfloat16(Device& device, const ConvertArgs& args, Error& error);
bool unpack_bfloat16(Device& device, const ConvertArgs& args, Error& error);

}  // namespace cuda
}  // namespace tfxf
