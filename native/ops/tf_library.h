// SPDX-License-Identifier: Apache-2.0
/** Finds the TensorFlow that is in this process. */
#pragma once

namespace tfxf {

constexpr int kPathCapacity = 1024;
constexpr int kReasonCapacity = 1024;

struct TensorFlowLibrary {
  bool found;
  char path[kPathCapacity];
  char version[64];             // TF_Version, or empty
  char reason[kReasonCapacity]; // why not, if not found
};

/** Fills `tf` from the first library in the process that has all functions. Nothing is loaded. */
void find_tensorflow(TensorFlowLibrary& library);

/**
 * Keeps this addon in memory for good, or returns false: TensorFlow holds pointers to its functions, and Node
 * unloads the addons of a worker thread that ends.
 */
bool stay_loaded();

}  // namespace tfxf
