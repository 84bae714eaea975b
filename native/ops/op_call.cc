// SPDX-License-Identifier: Apache-2.0
/** Inputs, outputs and workspace of an op through TensorFlow's C API. */
#include "ops/op_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace tfxf {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 56;
constexpr int64_t kMostWorkspace = int64_t{1} << 46;
constexpr int kAlignment = 64, kGpuAlignment = 256;

/** "[2, 3]" */
struct ShapeText {
  char text[kMostAxes * 22 + 3];

  explicit ShapeText(const Shape& shape) {
    size_t length = 1;
    text[0] = '[';
    for (int axis = 0; axis < shape.rank; axis++) {
      const int written = snprintf(text + length, sizeof text - length, "%s%lld",
                                   axis > 0 ? ", " : "", static_cast<long long>(shape.dims[axis]));
      length += static_cast<size_t>(written);
    }
    snprintf(text + length, sizeof text - length, "]");
  }
};

const char* type_name(TfDataType type) {
  switch (type) {
    case kTfFloat: return "float32";
    case kTfInt32: return "int32";
    case kTfBool: return "bool";
    default: return "another type";
  }
}

}  // namespace

bool Shape::operator==(const Shape& other) const {
  return rank == other.rank &&
         memcmp(dims, other.dims, static_cast<size_t>(rank) * sizeof dims[0]) == 0;
}

Shape Shape::with_last(int64_t size) const {
  Shape shape = *this;
  shape.dims[rank - 1] = size;
  return shape;
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank; axis++) product *= dims[axis];
  return product;
}

bool is_sound(const Shape& shape) {
  int64_t product = 1;
  for (int axis = 0; axis < shape.rank; axis++) {
    const int64_t size = shape.dims[axis];
    if (size < 0) return false;
    if (size == 0) continue;
    if (product > kMostElements / size) return false;
    product *= size;
  }
  return true;
}

OpCall::OpCall(TF_OpKernelContext* context, bool on_gpu)
    : context_(context), status_(tf.NewStatus()), on_gpu_(on_gpu) {}

OpCall::~OpCall() {
  if (!ok()) tf.OpKernelContext_Failure(context_, status_);
  for (int n = 0; n < tensor_count_; n++) tf.DeleteTensor(tensors_[n]);
  tf.DeleteStatus(status_);
}

void OpCall::fail(const char* pattern, ...) {
  if (!ok()) return;
  char message[512];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(message, sizeof message, pattern, arguments);
  va_end(arguments);
  tf.SetStatus(status_, kTfInvalidArgument, message);
}

Tensor OpCall::input(const char* name, TfDataType type) {
  Tensor tensor;
  if (!ok()) return tensor;
  const int index = next_input_++;
  if (index >= tf.NumInputs(context_)) {
    fail("%s (input %d) is missing", name, index);
    return tensor;
  }
  TF_Tensor* handle = nullptr;
  tf.GetInput(context_, index, &handle, status_);
  if (!ok()) return tensor;
  keep(handle);
  const TfDataType found = tf.TensorType(handle);
  const int rank = tf.NumDims(handle);
  if (found != type) {
    fail("%s is of type %s (%d), the attributes say %s", name, type_name(found), found,
         type_name(type));
  } else if (rank > kMostAxes) {
    fail("%s has %d axes, at most %d are supported", name, rank, kMostAxes);
  } else {
    tensor.shape.rank = rank;
    for (int axis = 0; axis < rank; axis++) tensor.shape.dims[axis] = tf.Dim(handle, axis);
    tensor.data = tf.TensorData(handle);
    tensor.is_there = true;
  }
  return tensor;
}

Tensor OpCall::optional_input(int count, const char* name, TfDataType type) {
  return count > 0 ? input(name, type) : Tensor();
}

void OpCall::check_shape(const char* name, const Tensor& tensor, const Shape& expected) {
  if (!tensor.is_there || tensor.shape == expected) return;
  fail("%s has shape %s, expected %s", name, ShapeText(tensor.shape).text,
       ShapeText(expected).text);
}

void* OpCall::output(TfDataType type, const Shape& shape) {
  if (!ok()) return nullptr;
  const int index = next_output_++;
  if (!is_sound(shape)) {
    fail("output %d would have shape %s, which is too large", index, ShapeText(shape).text);
    return nullptr;
  }
  const size_t bytes = static_cast<size_t>(shape.elements()) * 4;
  TF_Tensor* handle =
      tf.AllocateOutput(context_, index, type, shape.dims, shape.rank, bytes, status_);
  if (handle == nullptr) return nullptr;
  keep(handle);
  return tf.TensorData(handle);
}

void* OpCall::workspace(int64_t bytes) {
  if (!ok() || bytes == 0) return nullptr;
  if (bytes < 0 || bytes > kMostWorkspace) {
    tf.SetStatus(status_, kTfResourceExhausted, "the workspace of this call would be too large");
    return nullptr;
  }
  const int alignment = on_gpu_ ? kGpuAlignment : kAlignment;
  const int64_t size = bytes + alignment;
  TfAllocatorAttributes where = {sizeof(TfAllocatorAttributes), static_cast<unsigned char>(on_gpu_ ? 0 : 1)};
  TF_Tensor* handle = tf.AllocateTemp(context_, kTfUint8, &size, 1, &where, status_);
  if (handle == nullptr) return nullptr;
  keep(handle);
  const uintptr_t address = reinterpret_cast<uintptr_t>(tf.TensorData(handle));
  const uintptr_t step = static_cast<uintptr_t>(alignment);
  return reinterpret_cast<void*>((address + step - 1) / step * step);
}

}  // namespace tfxf
