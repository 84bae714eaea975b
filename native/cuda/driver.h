// SPDX-License-Identifier: Apache-2.0
/**
 * CUDA devices through the driver API, opened at run time. Where there is no driver, no device, or no kernels in this
 * build, reason() says so, and nothing else happens.
 *
 * TensorFlow tells nobody its stream, so work is ordered by events of the context, which is the device's primary one, as
 * TensorFlow's: cuCtxRecordEvent takes what TensorFlow has enqueued, our stream waits for it, works, and
 * cuCtxWaitEvent lets what TensorFlow enqueues next wait for us. The host waits for nothing. Drivers before 12.5 lack
 * both: there the host waits for the context before, and for our stream after.
 */
#pragma once

#include "cpu/threads.h"
#include "cuda/driver_api.h"

namespace tfxf {
namespace cuda {

/** The first thing that went wrong, in words; later ones are not told. */
struct Error {
  bool failed = false;
  char text[512] = "";
  /** Returns false, to be returned. */
  bool fail(const char* pattern, ...) __attribute__((format(printf, 2, 3)));
};

/** Number of a kernel in kernel_list.h, or a module there. */
using KernelId = int;

struct KernelInfo {
  const char* name;  // of the entry
  int module, threads, shared_bytes, params_bytes;
};

constexpr int kModules = 7, kMostKernels = 80, kMostDevices = 16;

struct Driver;

struct Device {
  Driver* driver = nullptr;
  int ordinal = 0;
  char name[128] = "";
  int major = 0, minor = 0, multiprocessors = 0, most_shared_bytes = 0;
  /** Whether the kernels of sm_90a alone run: this is compute capability 9.0, and the driver makes tensor maps. */
  bool has_wgmma = false;
  CuContext context = nullptr;
  CuStream stream = nullptr;
  CuEvent before = nullptr, after = nullptr;
  CuModule modules[kModules] = {};
  CuFunction functions[kMostKernels] = {};
  /** Held while work is enqueued. */
  Lock lock;
};

struct Driver {
  bool open = false;
  char reason[512] = "";  // why not
  DriverApi api = {};
  int version = 0;         // 1000 * major + 10 * minor
  int device_count = 0;
  Device devices[kMostDevices];
  Lock lock;

  bool has_context_events() const { return api.CtxRecordEvent != nullptr && api.CtxWaitEvent != nullptr; }
  /** Fails with the words of the driver unless the call succeeded. */
  bool check(CuResult result, const char* what, Error& error) const;
};

/** Fills `driver` from this library, or from libcuda.so.1 where `path` is null; returns driver.open. */
bool open_driver(Driver& driver, const char* path);

/** A device that is ready: its context, stream and events are made the first time. Null, and an error, if it cannot be. */
Device* ready_device(Driver& driver, int ordinal, Error& error);
/** The ready device whose memory this is. */
Device* device_of(Driver& driver, const void* pointer, Error& error);

/** Its context is current as long as this lives, and no other thread enqueues work. */
class DeviceScope {
 public:
  DeviceScope(Device& device, Error& error);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  bool ok() const { return ok_; }

 private:
  Device& device_;
  LockScope lock_;
  bool ok_;
};

/** Inside of a DeviceScope: after all that the context has been given, and before all that it will be given. */
bool begin_after_context(Device& device, Error& error);
bool end_before_context(Device& device, Error& error);

/** Enqueues a kernel; its module is loaded the first time. */
bool launch(Device& device, KernelId kernel, int64_t blocks, const void* params, Error& error);
bool copy_to_device(Device& device, void* to, const void* from, int64_t bytes, Error& error);
bool zero_on_device(Device& device, void* to, int64_t bytes, Error& error);

/** The kernels of this build, in order; and the machine code of a module, null where nvcc was not there. */
extern const KernelInfo kKernels[];
extern const int kKernelCount;
const void* module_image(int module);
const char* module_name(int module);
/** Whether this build has kernels, and of which CUDA (as Driver::version): drivers of an older one do not take them. */
bool has_kernels();
int image_version();

}  // namespace cuda
}  // namespace tfxf
