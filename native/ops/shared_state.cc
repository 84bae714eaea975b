// SPDX-License-Identifier: Apache-2.0
/** shared_state.h by way of the list of loaded libraries, which has them in the order of loading. */
#include "ops/shared_state.h"

#include "ops/loaded_libraries.h"

#if defined(_WIN32)
#define TFXF_EXPORT __declspec(dllexport)
#else
#define TFXF_EXPORT __attribute__((visibility("default")))
#endif

extern "C" {
/** The name changes when the layout does. */
TFXF_EXPORT tfxf::SharedState tfxf_shared_state_v1;
}

namespace tfxf {
namespace {

/** Returns true to stop, and then keeps the library loaded. */
bool take_state(const char* path, void* context) {
  void* library = open_loaded(path);
  if (library == nullptr) return false;
  void* state = find_symbol(library, "tfxf_shared_state_v1");
  if (state == nullptr) {
    close_library(library);
    return false;
  }
  *static_cast<SharedState**>(context) = static_cast<SharedState*>(state);
  return true;
}

}  // namespace

SharedState& shared_state() {
  SharedState* state = nullptr;
  each_loaded_library(take_state, &state);
  return state != nullptr ? *state : tfxf_shared_state_v1;
}

}  // namespace tfxf
