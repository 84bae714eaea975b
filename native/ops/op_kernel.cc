// SPDX-License-Identifier: Apache-2.0
/** Attributes of an op through TensorFlow's C API. */
#include "ops/op_kernel.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

namespace tfxf {

Construction::Construction(TF_OpKernelConstruction* context)
    : context_(context), status_(tf.NewStatus()) {}

Construction::~Construction() {
  if (!ok()) tf.OpKernelConstruction_Failure(context_, status_);
  tf.DeleteStatus(status_);
}

void Construction::fail(const char* pattern, ...) {
  if (!ok()) return;
  char message[256];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(message, sizeof message, pattern, arguments);
  va_end(arguments);
  tf.SetStatus(status_, kTfInvalidArgument, message);
}

int64_t Construction::size(const char* name, int64_t least) {
  int64_t value = least;
  if (ok()) tf.OpKernelConstruction_GetAttrInt64(context_, name, &value, status_);
  if (ok() && (value < least || value > INT32_MAX)) {
    fail("attribute %s is %lld, expected %lld to %lld", name, static_cast<long long>(value),
         static_cast<long long>(least), static_cast<long long>(INT32_MAX));
  }
  return value;
}

int Construction::count(const char* name) {
  const int64_t value = size(name, 0);
  if (ok() && value > 1) {
    fail("attribute %s is %lld, expected 0 or 1", name, static_cast<long long>(value));
  }
  return static_cast<int>(value);
}

float Construction::number(const char* name) {
  float value = 0.0f;
  if (ok()) tf.OpKernelConstruction_GetAttrFloat(context_, name, &value, status_);
  if (ok() && !isfinite(value)) fail("attribute %s is %g, expected a finite number", name, value);
  return value;
}

bool Construction::flag(const char* name) {
  unsigned char value = 0;
  if (ok()) tf.OpKernelConstruction_GetAttrBool(context_, name, &value, status_);
  return value != 0;
}

TfDataType Construction::type(const char* name) {
  TfDataType value = kTfFloat;
  if (ok()) tf.OpKernelConstruction_GetAttrType(context_, name, &value, status_);
  return value;
}

}  // namespace tfxf
