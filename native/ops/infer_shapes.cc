// SPDX-License-Identifier: Apache-2.0
/** Shapes through TensorFlow's C API. */
#include "ops/infer_shapes.h"

#include <stdarg.h>
#include <stdio.h>

namespace tfxf {

Inference::Inference(TF_ShapeInferenceContext* context, TF_Status* status)
    : context_(context), status_(status) {
  tf.ShapeInferenceContextSetUnknownShape(context_, status_);
}

void Inference::fail(const char* pattern, ...) {
  if (!ok()) return;
  char message[256];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(message, sizeof message, pattern, arguments);
  va_end(arguments);
  tf.SetStatus(status_, kTfInvalidArgument, message);
}

int Inference::inputs() const {
  return static_cast<int>(tf.ShapeInferenceContextNumInputs(context_));
}

KnownShape Inference::input(int index) const {
  KnownShape shape;
  if (!ok()) return shape;
  tf.ShapeInferenceContextGetInput(context_, index, shape.handle(), status_);
  forget_index_error();
  return shape;
}

int Inference::rank(const KnownShape& shape) const {
  if (!ok() || !tf.ShapeInferenceContextRankKnown(context_, shape.handle())) return -1;
  return static_cast<int>(tf.ShapeInferenceContextRank(context_, shape.handle()));
}

int Inference::checked_rank(const char* name, int index, int least, int most) {
  const int found = rank(input(index));
  if (found < 0 || (found >= least && found <= most)) return found;
  if (least == most) {
    fail("%s is of rank %d, expected %d", name, found, least);
  } else {
    fail("%s is of rank %d, expected %d to %d", name, found, least, most);
  }
  return -1;
}

int64_t Inference::size(const KnownShape& shape, int axis) const {
  if (!ok()) return -1;
  TF_DimensionHandle* dimension = tf.NewDimensionHandle();
  tf.ShapeInferenceContextDim(context_, shape.handle(), axis, dimension);
  const bool is_known = tf.DimensionHandleValueKnown(dimension) != 0;
  const int64_t size = is_known ? tf.DimensionHandleValue(dimension) : -1;
  tf.DeleteDimensionHandle(dimension);
  return size;
}

bool Inference::is_packed(const char* type_attribute) const {
  TfDataType type = kTfFloat;
  if (ok()) tf.ShapeInferenceContext_GetAttrType(context_, type_attribute, &type, status_);
  return type == kTfInt32;
}

KnownShape Inference::axes(const KnownShape& shape, int begin, int end) const {
  KnownShape part;
  if (ok()) {
    tf.ShapeInferenceContextSubshape(context_, shape.handle(), begin, end, part.handle(), status_);
  }
  return part;
}

KnownShape Inference::joined(const KnownShape& first, const KnownShape& second) const {
  KnownShape whole;
  if (ok()) {
    tf.ShapeInferenceContextConcatenateShapes(context_, first.handle(), second.handle(),
                                              whole.handle(), status_);
  }
  return whole;
}

KnownShape Inference::vector(int64_t size) const {
  const size_t length = static_cast<size_t>(size);
  return KnownShape(tf.ShapeInferenceContextVectorFromSize(context_, length));
}

void Inference::set_output(int index, const KnownShape& shape) {
  if (rank(shape) < 0) return;
  tf.ShapeInferenceContextSetOutput(context_, index, shape.handle(), status_);
  forget_index_error();
}

void Inference::forget_index_error() const {
  if (!ok()) tf.SetStatus(status_, kTfOk, "");
}

}  // namespace tfxf
