// SPDX-License-Identifier: Apache-2.0
/**
 * Looks at the libraries of the process, in the order in which they were loaded, for one that is
 * called libtensorflow… and has the C API, of its own or through the libraries that it depends on. The
 * handle is never closed, so the library stays even if whoever loaded it lets go of it.
 */
#include "ops/tf_library.h"

#include <stdio.h>
#include <string.h>

#include "ops/loaded_libraries.h"
#include "ops/tf_api.h"

namespace tfxf {

TensorFlowApi tf = {};

namespace {

/** Fills `api`; returns the name of the first function that is missing, or null. */
const char* resolve(void* handle, TensorFlowApi& api) {
#define TFXF_RESOLVE(result, name, parameters)                                             \
  api.name = reinterpret_cast<result(*) parameters>(find_symbol(handle, "TF_" #name)); \
  if (api.name == nullptr) return "TF_" #name;
  TFXF_TENSORFLOW_FUNCTIONS(TFXF_RESOLVE)
#undef TFXF_RESOLVE
  return nullptr;
}

/** Of the path: without folders. */
const char* file_name(const char* path) {
  const char* name = path;
  for (const char* at = path; *at != 0; at++) {
    if (*at == '/' || *at == '\\') name = at + 1;
  }
  return name;
}

bool is_tensorflow(const char* path) {
  const char* name = file_name(path);
  if (strncmp(name, "lib", 3) == 0) name += 3;
  return strncmp(name, "tensorflow", 10) == 0;
}

/** Takes the library if it has everything; else the reason names what is missing. Returns true to stop. */
bool consider(const char* path, void* context) {
  TensorFlowLibrary& library = *static_cast<TensorFlowLibrary*>(context);
  if (!is_tensorflow(path)) return false;
  void* handle = open_loaded(path);
  if (handle == nullptr || find_symbol(handle, "TF_NewKernelBuilder") == nullptr) return false;
  TensorFlowApi api = {};
  const char* missing = resolve(handle, api);
  const char* version = api.Version != nullptr ? api.Version() : "of unknown version";
  if (missing != nullptr) {
    snprintf(library.reason, sizeof library.reason,
             "TensorFlow %s (%s) has no function %s, which the native kernels need", version, path,
             missing);
    return false;
  }
  // Kernels of other threads may be running when a worker thread asks again: they keep what they have.
  if (tf.Version == nullptr) tf = api;
  library.found = true;
  library.reason[0] = 0;
  snprintf(library.path, sizeof library.path, "%s", path);
  snprintf(library.version, sizeof library.version, "%s", version);
  return true;
}

}  // namespace

void find_tensorflow(TensorFlowLibrary& library) {
  library = {};
  snprintf(library.reason, sizeof library.reason, "%s",
           "no libtensorflow is loaded in this process: import @tensorflow/tfjs-node or "
           "@tensorflow/tfjs-node-gpu first");
  each_loaded_library(consider, &library);
}

bool stay_loaded() {
  static const char inside = 0;
  return pin_library_of(&inside);
}

}  // namespace tfxf
