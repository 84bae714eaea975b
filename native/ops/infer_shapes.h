// SPDX-License-Identifier: Apache-2.0
/**
 * Shape functions: what TensorFlow knows of an op before it runs, in graphs. It hands out the types
 * among the attributes and no numbers, so sizes that follow from numbers stay unknown; the kernels
 * check those. Older versions (2.9 is one) call every index above 0 "out of range", of inputs and of
 * outputs: there the shapes of the others are unknown, too.
 */
#pragma once

#include <cstdint>

#include "ops/tf_api.h"

namespace tfxf {

/** A shape that may be unknown, whole or in part. */
class KnownShape {
 public:
  KnownShape() : handle_(tf.NewShapeHandle()) {}
  explicit KnownShape(TF_ShapeHandle* handle) : handle_(handle) {}
  KnownShape(KnownShape&& other) : handle_(other.handle_) { other.handle_ = nullptr; }
  ~KnownShape() {
    if (handle_ != nullptr) tf.DeleteShapeHandle(handle_);
  }
  KnownShape(const KnownShape&) = delete;
  KnownShape& operator=(const KnownShape&) = delete;
  TF_ShapeHandle* handle() const { return handle_; }

 private:
  TF_ShapeHandle* handle_;
};

class Inference {
 public:
  /** All outputs are unknown at first. */
  Inference(TF_ShapeInferenceContext* context, TF_Status* status);

  bool ok() const { return tf.GetCode(status_) == kTfOk; }
  void fail(const char* pattern, ...) __attribute__((format(printf, 2, 3)));
  int inputs() const;
  /** Unknown where TensorFlow does not say. */
  KnownShape input(int index) const;
  /** -1: unknown. */
  int rank(const KnownShape& shape) const;
  /** Rank of an input; fails if it is known and lies outside. -1: unknown, or the call failed. */
  int checked_rank(const char* name, int index, int least, int most);
  /** Size of an axis of a shape of known rank; -1: unknown. */
  int64_t size(const KnownShape& shape, int axis) const;
  /** Whether the type attribute says int32, that is packed bfloat16. */
  bool is_packed(const char* type_attribute) const;

  /** Axes begin <= axis < end of a shape of known rank. */
  KnownShape axes(const KnownShape& shape, int begin, int end) const;
  KnownShape joined(const KnownShape& first, const KnownShape& second) const;
  KnownShape vector(int64_t size) const;
  /** Says the shape of an output, if it is known and TensorFlow listens. */
  void set_output(int index, const KnownShape& shape);

 private:
  void forget_index_error() const;

  TF_ShapeInferenceContext* context_;
  TF_Status* status_;
};

}  // namespace tfxf
