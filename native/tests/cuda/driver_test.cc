// SPDX-License-Identifier: Apache-2.0
/** The host side on the stand-in: what is missing, what fails, what is called in which order. */
#include <cstring>

#include "cuda/launch.h"
#include "tests/cuda/stand_in_call.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

using cuda::Driver;
using cuda::Error;

void expect_reason(const Driver& driver, const std::string& what) {
  TFXF_CHECK(!driver.open);
  if (strstr(driver.reason, what.c_str()) == nullptr) fail(format("the reason is '%s', not '%s'", driver.reason, what.c_str()));
}

TFXF_TEST(no_library, "cuda/driver/no library is a reason in words") {
  Driver driver;
  cuda::open_driver(driver, "libtfxf_is_not_there.so.1");
  expect_reason(driver, "there is no CUDA driver: libtfxf_is_not_there.so.1");
  Error error;
  TFXF_CHECK(cuda::ready_device(driver, 0, error) == nullptr && error.failed);
  TFXF_CHECK(strcmp(error.text, driver.reason) == 0);
}

TFXF_TEST(no_symbol, "cuda/driver/a missing function is named") {
  Driver driver;
  cuda::open_driver(driver, stand_in_path("_broken").c_str());
  expect_reason(driver, "has no function cuLaunchKernel");
}

TFXF_TEST(failing_start, "cuda/driver/what fails at the start is the reason, in the driver's words") {
  for (const char* call : {"cuInit", "cuDriverGetVersion", "cuDeviceGetCount"}) {
    const StandInScope stand_in;
    stand_in->failing = call;
    Driver driver;
    cuda::open_driver(driver, stand_in.path());
    expect_reason(driver, std::string(call) + " failed: out of memory (CUDA error 2)");
  }
}

TFXF_TEST(no_device, "cuda/driver/no device, an old driver, an old device") {
  const StandInScope stand_in;
  stand_in->devices = 0;
  Driver none, old, ready;
  cuda::open_driver(none, stand_in.path());
  expect_reason(none, "knows no device");
  stand_in->devices = 1;
  stand_in->version = 11080;
  cuda::open_driver(old, stand_in.path());
  expect_reason(old, "is for CUDA 11.8");
  stand_in->version = 12020;
  stand_in->major = 7;
  stand_in->minor = 5;
  TFXF_CHECK(cuda::open_driver(ready, stand_in.path()));
  Error error;
  TFXF_CHECK(cuda::ready_device(ready, 0, error) == nullptr);
  TFXF_CHECK(strstr(error.text, "compute capability 7.5") != nullptr);
}

TFXF_TEST(failing_device, "cuda/driver/what fails while a device is made ready is told, and tried again") {
  for (const char* call : {"cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain",
                           "cuCtxPushCurrent", "cuStreamCreate", "cuEventCreate", "cuCtxPopCurrent"}) {
    const StandInScope stand_in;
    Driver driver;
    TFXF_CHECK(cuda::open_driver(driver, stand_in.path()));
    stand_in->failing = call;
    Error error, none;
    TFXF_CHECK(cuda::ready_device(driver, 0, error) == nullptr);
    if (strstr(error.text, call) == nullptr) fail(format("%s failed, and the error is '%s'", call, error.text));
    TFXF_CHECK(cuda::ready_device(driver, 0, none) != nullptr);
  }
}

TFXF_TEST(several_devices, "cuda/driver/each device has a context, a stream and modules of its own") {
  const StandInScope stand_in;
  stand_in->devices = 3;
  Driver driver;
  TFXF_CHECK(cuda::open_driver(driver, stand_in.path()) && driver.device_count == 3);
  Error error;
  int anywhere = 0;
  cuda::Device* first = cuda::ready_device(driver, 0, error);
  stand_in->owner = 2;
  cuda::Device* third = cuda::device_of(driver, &anywhere, error);
  TFXF_CHECK(first != nullptr && third != nullptr && third->ordinal == 2);
  if (first == nullptr || third == nullptr) return;
  TFXF_CHECK(first->context != third->context && first->stream != third->stream && first->before != third->before);
  TFXF_CHECK(cuda::ready_device(driver, 2, error) == third);
  for (cuda::Device* device : {first, third}) {
    Small small;
    TFXF_CHECK(small.run(*device, error));
  }
  TFXF_CHECK(first->modules[0] != nullptr && third->modules[0] != nullptr && first->modules[0] != third->modules[0]);
  TFXF_CHECK(cuda::ready_device(driver, 3, error) == nullptr && strstr(error.text, "no CUDA device 3 of 3") != nullptr);
}

TFXF_TEST(order, "cuda/driver/work lies between the context's work before and after, without waiting") {
  const StandInScope stand_in;
  Driver driver;
  cuda::open_driver(driver, stand_in.path());
  Error error;
  cuda::Device* device = cuda::ready_device(driver, 0, error);
  Small small;
  stand_in->records = true;
  TFXF_CHECK(device != nullptr && small.run(*device, error));
  const std::string context = stand_in.name_in("cuCtxPushCurrent ", 0);
  const std::string before = stand_in.name_in("cuCtxRecordEvent ", 1), after = stand_in.name_in("cuEventRecord ", 0);
  const std::string stream = stand_in.name_in("cuEventRecord ", 1);
  TFXF_CHECK(before != after);
  stand_in.expect({"cuCtxPushCurrent " + context, "cuCtxRecordEvent " + context + " " + before,
                   "cuStreamWaitEvent " + stream + " " + before, "cuModuleLoadData module*",
                   "cuModuleGetFunction module* tfxf_convert_to_bf16", "cuLaunchKernel tfxf_convert_to_bf16 1 " + stream,
                   "cuEventRecord " + after + " " + stream, "cuCtxWaitEvent " + context + " " + after,
                   "cuCtxPopCurrent"});
  stand_in->calls.clear();
  TFXF_CHECK(small.run(*device, error));
  for (const std::string& call : stand_in->calls) TFXF_CHECK(call.find("Module") == std::string::npos);
}

TFXF_TEST(fall_back, "cuda/driver/a driver before 12.5 is waited for before and after") {
  const StandInScope stand_in("_old");
  stand_in->version = 12040;
  Driver driver;
  cuda::open_driver(driver, stand_in.path());
  TFXF_CHECK(driver.open && !driver.has_context_events());
  Error error;
  cuda::Device* device = cuda::ready_device(driver, 0, error);
  Small small;
  TFXF_CHECK(device != nullptr && small.run(*device, error));
  stand_in->records = true;
  TFXF_CHECK(small.run(*device, error));
  stand_in.expect({"cuCtxPushCurrent context*", "cuCtxSynchronize", "cuLaunchKernel tfxf_convert_to_bf16 1 stream*",
                   "cuStreamSynchronize stream*", "cuCtxPopCurrent"});
}

TFXF_TEST(failing_work, "cuda/driver/what fails on the way is told, the context is left, and the next call works") {
  for (const char* call : {"cuCtxRecordEvent", "cuStreamWaitEvent", "cuModuleLoadData", "cuModuleGetFunction",
                           "cuLaunchKernel", "cuEventRecord", "cuCtxWaitEvent"}) {
    const StandInScope stand_in;
    Driver driver;
    cuda::open_driver(driver, stand_in.path());
    Error error, none;
    cuda::Device* device = cuda::ready_device(driver, 0, error);
    Small small;
    stand_in->failing = call;
    stand_in->result = 209;
    stand_in->records = true;
    TFXF_CHECK(device != nullptr && !small.run(*device, error));
    if (strstr(error.text, "no kernel image is available") == nullptr) {
      fail(format("%s failed, and the error is '%s'", call, error.text));
    }
    TFXF_CHECK(stand_in->calls.back() == "cuCtxPopCurrent");
    TFXF_CHECK(small.run(*device, none) && small.is_right());
  }
}

TFXF_TEST(shared_memory, "cuda/driver/a kernel that needs more shared memory than the device has is not launched") {
  const StandInScope stand_in;
  stand_in->shared_bytes = 512;
  Driver driver;
  cuda::open_driver(driver, stand_in.path());
  Error error;
  cuda::Device* device = cuda::ready_device(driver, 0, error);
  int32_t numbers[16] = {};
  TFXF_CHECK(device != nullptr && !cuda::launch(*device, 1, 1, numbers, error));
  TFXF_CHECK(strstr(error.text, "bytes of shared memory") != nullptr);
}

}  // namespace
}  // namespace test
}  // namespace tfxf
