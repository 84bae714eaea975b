// SPDX-License-Identifier: Apache-2.0
/** driver.h: the library is never closed, contexts and modules live as long as the process. */
#include "cuda/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace tfxf {
namespace cuda {

bool Error::fail(const char* pattern, ...) {
  if (failed) return false;
  failed = true;
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return false;
}

bool Driver::check(CuResult result, const char* what, Error& error) const {
  if (result == kCuSuccess) return true;
  const char* words = nullptr;
  if (api.GetErrorString(result, &words) != kCuSuccess || words == nullptr) words = "unknown error";
  return error.fail("%s failed: %s (CUDA error %d)", what, words, static_cast<int>(result));
}

namespace {

#if defined(_WIN32)
void* open_library(const char*) { return nullptr; }
void* symbol_of(void*, const char*) { return nullptr; }
const char* open_error() { return "CUDA kernels are built for Linux"; }
#else
void* open_library(const char* path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
void* symbol_of(void* library, const char* name) { return dlsym(library, name); }
const char* open_error() {
  const char* words = dlerror();
  return words != nullptr ? words : "it cannot be opened";
}
#endif

/** Returns the first function that is missing, or null. */
const char* resolve(void* library, DriverApi& api) {
#define TFXF_RESOLVE(result, name, exported, parameters) \
  api.name = reinterpret_cast<result(*) parameters>(symbol_of(library, exported));
#define TFXF_REQUIRE(result, name, exported, parameters) \
  TFXF_RESOLVE(result, name, exported, parameters)       \
  if (api.name == nullptr) return exported;
  TFXF_CUDA_FUNCTIONS(TFXF_REQUIRE)
  TFXF_CUDA_NEWER_FUNCTIONS(TFXF_RESOLVE)
#undef TFXF_REQUIRE
#undef TFXF_RESOLVE
  return nullptr;
}

bool start(Driver& driver, const char* path, Error& error) {
  if (!has_kernels()) return error.fail("this build has no CUDA kernels: nvcc was not there when it was made");
  const char* name = path != nullptr ? path : "libcuda.so.1";
  void* library = open_library(name);
  if (library == nullptr) return error.fail("there is no CUDA driver: %s", open_error());
  const char* missing = resolve(library, driver.api);
  if (missing != nullptr) return error.fail("the CUDA driver (%s) has no function %s: it is too old", name, missing);
  const DriverApi& api = driver.api;
  if (!driver.check(api.Init(0), "cuInit", error)) return false;
  if (!driver.check(api.DriverGetVersion(&driver.version), "cuDriverGetVersion", error)) return false;
  const int least = image_version() / 1000;
  if (driver.version / 1000 < least) {
    return error.fail("the CUDA driver is for CUDA %d.%d, and these kernels were built for %d.0 or newer",
                      driver.version / 1000, driver.version % 1000 / 10, least);
  }
  int count = 0;
  if (!driver.check(api.DeviceGetCount(&count), "cuDeviceGetCount", error)) return false;
  if (count < 1) return error.fail("the CUDA driver knows no device");
  driver.device_count = count < kMostDevices ? count : kMostDevices;
  return true;
}

bool describe(Device& device, CuDevice handle, Error& error) {
  const Driver& driver = *device.driver;
  const auto attribute = [&](CuDeviceAttribute which, int& value) {
    return driver.check(driver.api.DeviceGetAttribute(&value, which, handle), "cuDeviceGetAttribute", error);
  };
  if (!driver.check(driver.api.DeviceGetName(device.name, sizeof device.name, handle), "cuDeviceGetName", error)) {
    return false;
  }
  const bool told = attribute(kCuMajor, device.major) && attribute(kCuMinor, device.minor) &&
                    attribute(kCuMultiprocessors, device.multiprocessors) &&
                    attribute(kCuMostSharedBytes, device.most_shared_bytes);
  device.has_wgmma = device.major == 9 && device.minor == 0 && driver.api.TensorMapEncodeTiled != nullptr;
  return told;
}

bool prepare(Device& device, Error& error) {
  const Driver& driver = *device.driver;
  const DriverApi& api = driver.api;
  CuDevice handle = 0;
  if (!driver.check(api.DeviceGet(&handle, device.ordinal), "cuDeviceGet", error)) return false;
  if (!describe(device, handle, error)) return false;
  if (device.major < 8) {
    return error.fail("%s has compute capability %d.%d, and these kernels need 8.0 or newer", device.name, device.major,
                      device.minor);
  }
  CuContext context = nullptr;
  if (!driver.check(api.DevicePrimaryCtxRetain(&context, handle), "cuDevicePrimaryCtxRetain", error)) return false;
  if (!driver.check(api.CtxPushCurrent(context), "cuCtxPushCurrent", error)) return false;
  const bool made = driver.check(api.StreamCreate(&device.stream, kCuStreamNonBlocking), "cuStreamCreate", error) &&
                    driver.check(api.EventCreate(&device.before, kCuEventDisableTiming), "cuEventCreate", error) &&
                    driver.check(api.EventCreate(&device.after, kCuEventDisableTiming), "cuEventCreate", error);
  CuContext popped = nullptr;
  const bool left = driver.check(api.CtxPopCurrent(&popped), "cuCtxPopCurrent", error);
  if (made && left) device.context = context;
  return made && left;
}

bool load_kernel(Device& device, KernelId kernel, Error& error) {
  const Driver& driver = *device.driver;
  const DriverApi& api = driver.api;
  const KernelInfo& info = kKernels[kernel];
  if (info.shared_bytes > device.most_shared_bytes) {
    return error.fail("%s needs %d bytes of shared memory in a block, and %s has %d", info.name, info.shared_bytes,
                      device.name, device.most_shared_bytes);
  }
  CuModule& module = device.modules[info.module];
  if (module == nullptr) {
    const CuResult result = api.ModuleLoadData(&module, module_image(info.module));
    if (result != kCuSuccess) {
      module = nullptr;
      char what[160];
      snprintf(what, sizeof what, "loading the kernels '%s' on %s", module_name(info.module), device.name);
      return driver.check(result, what, error);
    }
  }
  CuFunction function = nullptr;
  if (!driver.check(api.ModuleGetFunction(&function, module, info.name), info.name, error)) return false;
  if (info.shared_bytes > 48 * 1024 &&
      !driver.check(api.FuncSetAttribute(function, kCuFunctionMostSharedBytes, info.shared_bytes), "cuFuncSetAttribute",
                    error)) {
    return false;
  }
  device.functions[kernel] = function;
  return true;
}

CuAddress address_of(const void* pointer) { return static_cast<CuAddress>(reinterpret_cast<uintptr_t>(pointer)); }

}  // namespace

bool open_driver(Driver& driver, const char* path) {
  Error error;
  driver.open = start(driver, path, error);
  snprintf(driver.reason, sizeof driver.reason, "%s", error.text);
  return driver.open;
}

Device* ready_device(Driver& driver, int ordinal, Error& error) {
  if (!driver.open) {
    error.fail("%s", driver.reason);
    return nullptr;
  }
  if (ordinal < 0 || ordinal >= driver.device_count) {
    error.fail("there is no CUDA device %d of %d", ordinal, driver.device_count);
    return nullptr;
  }
  Device& device = driver.devices[ordinal];
  const LockScope lock(driver.lock);
  if (device.context != nullptr) return &device;
  device.driver = &driver;
  device.ordinal = ordinal;
  return prepare(device, error) ? &device : nullptr;
}

Device* device_of(Driver& driver, const void* pointer, Error& error) {
  int ordinal = -1;
  if (driver.open && !driver.check(driver.api.PointerGetAttribute(&ordinal, kCuPointerDevice, address_of(pointer)),
                                   "cuPointerGetAttribute", error)) {
    return nullptr;
  }
  return ready_device(driver, ordinal, error);
}

DeviceScope::DeviceScope(Device& device, Error& error) : device_(device), lock_(device.lock), ok_(false) {
  ok_ = device.driver->check(device.driver->api.CtxPushCurrent(device.context), "cuCtxPushCurrent", error);
}

DeviceScope::~DeviceScope() {
  CuContext popped = nullptr;
  if (ok_) device_.driver->api.CtxPopCurrent(&popped);
}

bool begin_after_context(Device& device, Error& error) {
  const Driver& driver = *device.driver;
  const DriverApi& api = driver.api;
  if (!driver.has_context_events()) return driver.check(api.CtxSynchronize(), "cuCtxSynchronize", error);
  return driver.check(api.CtxRecordEvent(device.context, device.before), "cuCtxRecordEvent", error) &&
         driver.check(api.StreamWaitEvent(device.stream, device.before, 0), "cuStreamWaitEvent", error);
}

bool end_before_context(Device& device, Error& error) {
  const Driver& driver = *device.driver;
  const DriverApi& api = driver.api;
  if (!driver.has_context_events()) {
    return driver.check(api.StreamSynchronize(device.stream), "cuStreamSynchronize", error);
  }
  return driver.check(api.EventRecord(device.after, device.stream), "cuEventRecord", error) &&
         driver.check(api.CtxWaitEvent(device.context, device.after), "cuCtxWaitEvent", error);
}

bool launch(Device& device, KernelId kernel, int64_t blocks, const void* params, Error& error) {
  if (error.failed) return false;
  if (blocks == 0) return true;
  const KernelInfo& info = kKernels[kernel];
  if (blocks < 0 || blocks > INT32_MAX) {
    return error.fail("%s would need %lld blocks, more than a grid has", info.name, static_cast<long long>(blocks));
  }
  if (device.functions[kernel] == nullptr && !load_kernel(device, kernel, error)) return false;
  void* arguments[] = {const_cast<void*>(params)};
  const CuResult result =
      device.driver->api.LaunchKernel(device.functions[kernel], static_cast<unsigned>(blocks), 1, 1,
                                      static_cast<unsigned>(info.threads), 1, 1,
                                      static_cast<unsigned>(info.shared_bytes), device.stream, arguments, nullptr);
  return device.driver->check(result, info.name, error);
}

bool copy_to_device(Device& device, void* to, const void* from, int64_t bytes, Error& error) {
  if (error.failed || bytes == 0) return !error.failed;
  const CuResult result =
      device.driver->api.MemcpyHtoDAsync(address_of(to), from, static_cast<size_t>(bytes), device.stream);
  return device.driver->check(result, "cuMemcpyHtoDAsync", error);
}

bool zero_on_device(Device& device, void* to, int64_t bytes, Error& error) {
  if (error.failed || bytes == 0) return !error.failed;
  const CuResult result =
      device.driver->api.MemsetD8Async(address_of(to), 0, static_cast<size_t>(bytes), device.stream);
  return device.driver->check(result, "cuMemsetD8Async", error);
}

}  // namespace cuda
}  // namespace tfxf
