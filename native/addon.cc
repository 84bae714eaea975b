// SPDX-License-Identifier: Apache-2.0
/**
 * The Node-API side: one function, register(), that returns what came of it. Loading the addon does nothing,
 * so that it may be loaded before TensorFlow and in any number of threads.
 */
#include <node_api.h>

#include "cpu/kernel_table.h"
#include "ops/registration.h"

namespace {

/** Sets properties of an object; after a failure it does nothing, and an exception is pending. */
struct ObjectWriter {
  napi_env env;
  napi_value object;
  bool ok;

  explicit ObjectWriter(napi_env of) : env(of), object(nullptr), ok(true) {
    ok = napi_create_object(env, &object) == napi_ok;
  }

  void set(const char* name, napi_status made, napi_value value) {
    ok = ok && made == napi_ok && napi_set_named_property(env, object, name, value) == napi_ok;
  }
  void text(const char* name, const char* text) {
    napi_value value = nullptr;
    const napi_status made = napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    set(name, made, value);
  }
  void number(const char* name, int number) {
    napi_value value = nullptr;
    const napi_status made = napi_create_int32(env, number, &value);
    set(name, made, value);
  }
  void flag(const char* name, bool flag) {
    napi_value value = nullptr;
    const napi_status made = napi_get_boolean(env, flag, &value);
    set(name, made, value);
  }
};

/** The names of the tables that run here, best first. */
napi_status instruction_sets(napi_env env, napi_value* list) {
  const tfxf::KernelTable* tables[8];
  const int count = tfxf::available_kernels(tables, 8);
  napi_status status = napi_create_array(env, list);
  for (int n = 0; status == napi_ok && n < count; n++) {
    napi_value name = nullptr;
    status = napi_create_string_utf8(env, tables[n]->name, NAPI_AUTO_LENGTH, &name);
    if (status == napi_ok) status = napi_set_element(env, *list, static_cast<uint32_t>(n), name);
  }
  return status;
}

napi_value register_native(napi_env env, napi_callback_info) {
  tfxf::RegistrationStatus status;
  tfxf::register_ops(status);
  ObjectWriter result(env);
  result.flag("ok", status.ok);
  result.flag("reused", status.ok && status.reused);
  result.text("reason", status.reason);
  result.text("tensorflow", status.library.version);
  result.text("libtensorflow", status.library.path);
  result.text("isa", status.isa);
  napi_value sets = nullptr;
  const napi_status made = instruction_sets(env, &sets);
  result.set("instructionSets", made, sets);
  result.number("threads", status.threads);
  result.number("abi", tfxf::kAbi);
  result.text("gpu", status.gpu);
  result.text("gpuReason", status.gpu_reason);
  return result.ok ? result.object : nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function = nullptr;
  const bool ok = napi_create_function(env, "register", NAPI_AUTO_LENGTH, register_native, nullptr,
                                       &function) == napi_ok &&
                  napi_set_named_property(env, exports, "register", function) == napi_ok;
  return ok ? exports : nullptr;
}
