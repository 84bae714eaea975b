// SPDX-License-Identifier: Apache-2.0
/**
 * One run of an op: its inputs, outputs and workspace, and the error if there is one. What TensorFlow
 * hands out is given back when the OpCall ends.
 */
#pragma once

#include <cstdint>

#include "common/dtype.h"
#include "ops/tf_api.h"

namespace tfxf {

/** Tensors of tfjs have at most 6 axes. */
constexpr int kMostAxes = 8;

struct Shape {
  int rank = 0;
  int64_t dims[kMostAxes] = {};

  static Shape of(int64_t a) { return {1, {a}}; }
  static Shape of(int64_t a, int64_t b) { return {2, {a, b}}; }
  static Shape of(int64_t a, int64_t b, int64_t c) { return {3, {a, b, c}}; }
  static Shape of(int64_t a, int64_t b, int64_t c, int64_t d) { return {4, {a, b, c, d}}; }
  bool operator==(const Shape& other) const;
  /** With another size of the last axis. */
  Shape with_last(int64_t size) const;
  int64_t last() const { return dims[rank - 1]; }
  /** Number of elements, of a shape that is_sound(). */
  int64_t elements() const;
};

/** Whether its size in bytes fits in 64 bits, also before an empty axis makes it zero. */
bool is_sound(const Shape& shape);

struct Tensor {
  Shape shape;
  void* data = nullptr;
  bool is_there = false;

  const float* floats() const { return static_cast<const float*>(data); }
};

/** Storage types as TensorFlow sees them: pairs of bfloat16 lie in int32 words. */
static inline TfDataType stored_type(DType dtype) {
  return dtype == DType::kBFloat16 ? kTfInt32 : kTfFloat;
}
/** Size of the last axis of a stored tensor with so many columns. */
static inline int64_t stored_columns(DType dtype, int64_t columns) {
  return dtype == DType::kBFloat16 ? (columns + 1) / 2 : columns;
}

class OpCall {
 public:
  /** `on_gpu`: all tensors but params are in a GPU's memory. */
  OpCall(TF_OpKernelContext* context, bool on_gpu);
  ~OpCall();
  OpCall(const OpCall&) = delete;
  OpCall& operator=(const OpCall&) = delete;

  bool ok() const { return tf.GetCode(status_) == kTfOk; }
  bool on_gpu() const { return on_gpu_; }
  /** Ends the op with INVALID_ARGUMENT; the first message stays. */
  void fail(const char* pattern, ...) __attribute__((format(printf, 2, 3)));

  /** The next input; `name` is for messages. A scalar that is not there if the call fails. */
  Tensor input(const char* name, TfDataType type);
  /** The next input if `count` is 1, else one that is not there. */
  Tensor optional_input(int count, const char* name, TfDataType type);
  /** Fails unless the tensor, if it is there, has this shape. */
  void check_shape(const char* name, const Tensor& tensor, const Shape& expected);

  /** Memory of the next output; null if the call fails. */
  void* output(TfDataType type, const Shape& shape);
  float* float_output(const Shape& shape) { return static_cast<float*>(output(kTfFloat, shape)); }
  /** Scratch memory for this call, aligned to 64 bytes (256 on a GPU); null for 0 bytes or if the call fails. */
  void* workspace(int64_t bytes);

 private:
  /** To be given back at the end. */
  void keep(TF_Tensor* tensor) { tensors_[tensor_count_++] = tensor; }

  /** More than any op has inputs and outputs. */
  static constexpr int kMostTensors = 20;
  TF_OpKernelContext* context_;
  TF_Status* status_;
  const bool on_gpu_;
  TF_Tensor* tensors_[kMostTensors];
  int tensor_count_ = 0, next_input_ = 0, next_output_ = 0;
};

}  // namespace tfxf
