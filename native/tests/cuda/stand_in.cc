// SPDX-License-Identifier: Apache-2.0
/**
 * The functions of stand_in.h, by the names that libcuda exports. TFXF_STAND_IN_OLD leaves out those that may be missing,
 * and TFXF_STAND_IN_BROKEN cuLaunchKernel.
 */
#include "tests/cuda/stand_in.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>

#include "cuda/device_hopper.h"
#include "cuda/driver.h"
#include "tests/cuda/emulated_kernels.h"

using namespace tfxf::cuda;

namespace {

StandIn stand_in;

struct Mapping {
  void* begin;
  size_t bytes;
};
std::map<CuAddress, Mapping> mappings;

/** Handles are numbers, from 1, that calls are told by. */
template <typename Handle>
Handle numbered(uintptr_t number) {
  return reinterpret_cast<Handle>(number);
}
template <typename Handle>
unsigned long number_of(Handle handle) {
  return static_cast<unsigned long>(reinterpret_cast<uintptr_t>(handle));
}

/** Records the call; what it returns. */
CuResult called(const char* name) {
  if (stand_in.records) stand_in.calls.push_back(name);
  if (stand_in.failing != name || stand_in.passing-- > 0) return kCuSuccess;
  stand_in.failing.clear();
  return static_cast<CuResult>(stand_in.result);
}

/** The same with what it was called with. */
CuResult called(const char* name, const char* pattern, ...) __attribute__((format(printf, 2, 3)));
CuResult called(const char* name, const char* pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  const CuResult result = called(name);
  if (stand_in.records) stand_in.calls.back() += std::string(" ") + text;
  return result;
}

unsigned long next_stream = 0, next_event = 0, next_module = 0;

}  // namespace

extern "C" {

#define TFXF_STAND_IN_API __attribute__((visibility("default")))

TFXF_STAND_IN_API StandIn* tfxf_stand_in() { return &stand_in; }

TFXF_STAND_IN_API CuResult cuInit(unsigned) { return called("cuInit"); }
TFXF_STAND_IN_API CuResult cuDriverGetVersion(int* version) {
  *version = stand_in.version;
  return called("cuDriverGetVersion");
}
TFXF_STAND_IN_API CuResult cuGetErrorString(CuResult result, const char** words) {
  *words = result == 2 ? "out of memory" : result == 209 ? "no kernel image is available for execution on the device" : nullptr;
  return *words != nullptr ? kCuSuccess : static_cast<CuResult>(1);
}
TFXF_STAND_IN_API CuResult cuDeviceGetCount(int* count) {
  *count = stand_in.devices;
  return called("cuDeviceGetCount");
}
TFXF_STAND_IN_API CuResult cuDeviceGet(CuDevice* device, int ordinal) {
  *device = 100 + ordinal;
  return called("cuDeviceGet", "%d", ordinal);
}
TFXF_STAND_IN_API CuResult cuDeviceGetName(char* name, int length, CuDevice) {
  snprintf(name, static_cast<size_t>(length), "emulated device");
  return called("cuDeviceGetName");
}
TFXF_STAND_IN_API CuResult cuDeviceGetAttribute(int* value, CuDeviceAttribute which, CuDevice) {
  switch (which) {
    case kCuMajor: *value = stand_in.major; break;
    case kCuMinor: *value = stand_in.minor; break;
    case kCuMultiprocessors: *value = stand_in.multiprocessors; break;
    case kCuMostSharedBytes: *value = stand_in.shared_bytes; break;
  }
  return called("cuDeviceGetAttribute", "%d", static_cast<int>(which));
}
TFXF_STAND_IN_API CuResult cuDevicePrimaryCtxRetain(CuContext* context, CuDevice device) {
  *context = numbered<CuContext>(static_cast<uintptr_t>(device));
  return called("cuDevicePrimaryCtxRetain", "%d", device);
}
TFXF_STAND_IN_API CuResult cuCtxPushCurrent_v2(CuContext context) {
  return called("cuCtxPushCurrent", "context%lu", number_of(context));
}
TFXF_STAND_IN_API CuResult cuCtxPopCurrent_v2(CuContext*) { return called("cuCtxPopCurrent"); }
TFXF_STAND_IN_API CuResult cuCtxSynchronize() { return called("cuCtxSynchronize"); }

TFXF_STAND_IN_API CuResult cuModuleLoadData(CuModule* module, const void* image) {
  *module = numbered<CuModule>(++next_module);
  return image == nullptr ? static_cast<CuResult>(200) : called("cuModuleLoadData", "module%lu", next_module);
}
TFXF_STAND_IN_API CuResult cuModuleGetFunction(CuFunction* function, CuModule module, const char* name) {
  const EmulatedKernel* kernel = emulated_kernel(name);
  *function = reinterpret_cast<CuFunction>(const_cast<EmulatedKernel*>(kernel));
  const CuResult result = called("cuModuleGetFunction", "module%lu %s", number_of(module), name);
  return kernel == nullptr ? static_cast<CuResult>(500) : result;
}
TFXF_STAND_IN_API CuResult cuFuncSetAttribute(CuFunction, int, int value) {
  return called("cuFuncSetAttribute", "%d", value);
}

#if !defined(TFXF_STAND_IN_BROKEN)
TFXF_STAND_IN_API CuResult cuLaunchKernel(CuFunction function, unsigned blocks, unsigned, unsigned, unsigned threads,
                                          unsigned, unsigned, unsigned shared, CuStream stream, void** params, void**) {
  const EmulatedKernel* kernel = reinterpret_cast<const EmulatedKernel*>(function);
  const CuResult result = called("cuLaunchKernel", "%s %u stream%lu", kernel->name, blocks, number_of(stream));
  if (result != kCuSuccess) return result;
  if (shared > static_cast<unsigned>(stand_in.shared_bytes)) return static_cast<CuResult>(1);
  const unsigned mode = static_cast<unsigned>(stand_in.launched[kernel->name]++) % kEmulationModes;
  emulate(kernel->run, params[0], blocks, static_cast<int>(threads), shared, mode);
  return kCuSuccess;
}
#endif

TFXF_STAND_IN_API CuResult cuStreamCreate(CuStream* stream, unsigned flags) {
  *stream = numbered<CuStream>(++next_stream);
  return called("cuStreamCreate", "stream%lu flags %u", next_stream, flags);
}
TFXF_STAND_IN_API CuResult cuStreamSynchronize(CuStream stream) {
  return called("cuStreamSynchronize", "stream%lu", number_of(stream));
}
TFXF_STAND_IN_API CuResult cuStreamWaitEvent(CuStream stream, CuEvent event, unsigned) {
  return called("cuStreamWaitEvent", "stream%lu event%lu", number_of(stream), number_of(event));
}
TFXF_STAND_IN_API CuResult cuEventCreate(CuEvent* event, unsigned) {
  *event = numbered<CuEvent>(++next_event);
  return called("cuEventCreate", "event%lu", next_event);
}
TFXF_STAND_IN_API CuResult cuEventRecord(CuEvent event, CuStream stream) {
  return called("cuEventRecord", "event%lu stream%lu", number_of(event), number_of(stream));
}
TFXF_STAND_IN_API CuResult cuEventSynchronize(CuEvent event) {
  return called("cuEventSynchronize", "event%lu", number_of(event));
}
TFXF_STAND_IN_API CuResult cuEventElapsedTime(float* milliseconds, CuEvent, CuEvent) {
  *milliseconds = 1.0f;
  return called("cuEventElapsedTime");
}

TFXF_STAND_IN_API CuResult cuMemAlloc_v2(CuAddress* address, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = (bytes + 255) / 256 * 256, pages = (room + page - 1) / page * page;
  void* begin = mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) return static_cast<CuResult>(2);
  char* end = static_cast<char*>(begin) + pages;
  mprotect(end, page, PROT_NONE);
  *address = static_cast<CuAddress>(reinterpret_cast<uintptr_t>(end - room));
  mappings[*address] = {begin, pages + page};
  return called("cuMemAlloc");
}
TFXF_STAND_IN_API CuResult cuMemFree_v2(CuAddress address) {
  const auto found = mappings.find(address);
  if (found == mappings.end()) return static_cast<CuResult>(1);
  munmap(found->second.begin, found->second.bytes);
  mappings.erase(found);
  return called("cuMemFree");
}
TFXF_STAND_IN_API CuResult cuMemsetD8Async(CuAddress to, unsigned char value, size_t bytes, CuStream stream) {
  memset(reinterpret_cast<void*>(static_cast<uintptr_t>(to)), value, bytes);
  return called("cuMemsetD8Async", "stream%lu", number_of(stream));
}
TFXF_STAND_IN_API CuResult cuMemcpyHtoDAsync_v2(CuAddress to, const void* from, size_t bytes, CuStream stream) {
  memcpy(reinterpret_cast<void*>(static_cast<uintptr_t>(to)), from, bytes);
  return called("cuMemcpyHtoDAsync", "stream%lu", number_of(stream));
}
TFXF_STAND_IN_API CuResult cuMemcpyDtoHAsync_v2(void* to, CuAddress from, size_t bytes, CuStream stream) {
  memcpy(to, reinterpret_cast<const void*>(static_cast<uintptr_t>(from)), bytes);
  return called("cuMemcpyDtoHAsync", "stream%lu", number_of(stream));
}
TFXF_STAND_IN_API CuResult cuPointerGetAttribute(void* value, int, CuAddress) {
  memcpy(value, &stand_in.owner, sizeof stand_in.owner);
  return called("cuPointerGetAttribute");
}

#if !defined(TFXF_STAND_IN_OLD)
TFXF_STAND_IN_API CuResult cuTensorMapEncodeTiled(void* map, int type, unsigned rank, void* data, const uint64_t* sizes,
                                                  const uint64_t* steps, const unsigned* box, const unsigned* every,
                                                  int interleave, int swizzle, int promotion, int fill) {
  const CuResult result = called("cuTensorMapEncodeTiled", "%u rows", box[1]);
  if (result != kCuSuccess) return result;
  const bool known = type == kCuMapBFloat16 && rank == 4 && interleave == kCuMapPlain && swizzle == kCuMapSwizzle128 &&
                     promotion == kCuMapPromote256 && fill == kCuMapZeros && every[0] == 1 && every[1] == 1 &&
                     every[2] == 1 && every[3] == 1;
  return known && encode_map(map, data, sizes, steps, box) ? kCuSuccess : static_cast<CuResult>(1);
}
TFXF_STAND_IN_API CuResult cuCtxRecordEvent(CuContext context, CuEvent event) {
  return called("cuCtxRecordEvent", "context%lu event%lu", number_of(context), number_of(event));
}
TFXF_STAND_IN_API CuResult cuCtxWaitEvent(CuContext context, CuEvent event) {
  return called("cuCtxWaitEvent", "context%lu event%lu", number_of(context), number_of(event));
}
#endif

}  // extern "C"
