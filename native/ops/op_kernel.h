// SPDX-License-Identifier: Apache-2.0
/**
 * A kernel as TensorFlow keeps it: attributes that are read once, when it is made, and a function that
 * runs for each call. Several threads may run one kernel at the same time, so it does not change.
 */
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "common/dtype.h"
#include "ops/op_call.h"
#include "ops/tf_api.h"

namespace tfxf {

/** Reads attributes; reports the first error to TensorFlow when it ends. */
class Construction {
 public:
  explicit Construction(TF_OpKernelConstruction* context);
  ~Construction();
  Construction(const Construction&) = delete;
  Construction& operator=(const Construction&) = delete;

  bool ok() const { return tf.GetCode(status_) == kTfOk; }
  void fail(const char* pattern, ...) __attribute__((format(printf, 2, 3)));

  /** A size of at least `least`, in 31 bits. */
  int64_t size(const char* name, int64_t least);
  /** How often an optional input is there: 0 or 1. */
  int count(const char* name);
  /** Finite. */
  float number(const char* name);
  bool flag(const char* name);
  TfDataType type(const char* name);
  /** Of an attribute that may be float or int32. */
  DType storage(const char* name) {
    return type(name) == kTfInt32 ? DType::kBFloat16 : DType::kFloat32;
  }

 private:
  TF_OpKernelConstruction* context_;
  TF_Status* status_;
};

/** `Kernel` is plain data with void read(Construction&) and void compute(OpCall&) const. */
template <typename Kernel>
void* create_kernel(TF_OpKernelConstruction* context) {
  Construction construction(context);
  Kernel kernel = {};
  kernel.read(construction);
  if (!construction.ok()) return nullptr;
  void* memory = malloc(sizeof kernel);
  if (memory == nullptr) {
    construction.fail("there is no memory for the kernel");
    return nullptr;
  }
  return memcpy(memory, &kernel, sizeof kernel);
}

template <typename Kernel>
void run_kernel(void* kernel, TF_OpKernelContext* context) {
  OpCall call(context, false);
  static_cast<const Kernel*>(kernel)->compute(call);
}

/** The same where TensorFlow runs the op on a GPU. */
template <typename Kernel>
void run_gpu_kernel(void* kernel, TF_OpKernelContext* context) {
  OpCall call(context, true);
  static_cast<const Kernel*>(kernel)->compute(call);
}

/** TensorFlow also calls this, with null, for a kernel that could not be made. */
static inline void delete_kernel(void* kernel) { free(kernel); }

/** An op and its kernels for the devices CPU and GPU. The lists end in null. */
struct OpDefinition {
  const char* name;
  const char* attributes[14];
  const char* inputs[12];
  const char* outputs[4];
  TfInferShapes infer_shapes;
  TfCreate create;
  TfCompute compute, compute_on_gpu;
};

/** The ops of this library. */
extern const OpDefinition kNormOp, kNormGradOp;
extern const OpDefinition kAttentionOp, kAttentionGradOp, kAttentionBiasGradOp, kAttentionSinkGradOp;
extern const OpDefinition kBFloat16PackOp, kBFloat16UnpackOp;

}  // namespace tfxf
