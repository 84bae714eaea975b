// SPDX-License-Identifier: Apache-2.0
/**
 * The part of CUDA's driver API that the library uses. Nothing is linked: the functions are found in libcuda.so.1, which
 * the driver installs, when a program first asks for a GPU (driver.h).
 *
 * The signatures are those of cuda.h, whose names end in a version where the meaning has changed. Handles stay opaque.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace tfxf {
namespace cuda {

using CuContext = struct CuContextHandle*;
using CuModule = struct CuModuleHandle*;
using CuFunction = struct CuFunctionHandle*;
using CuStream = struct CuStreamHandle*;
using CuEvent = struct CuEventHandle*;
using CuAddress = unsigned long long;
using CuDevice = int;

/** Values of CUresult, and of flags and attributes; only those in use. */
enum CuResult : int { kCuSuccess = 0 };
constexpr unsigned kCuStreamNonBlocking = 1, kCuEventDisableTiming = 2;
enum CuDeviceAttribute : int {
  kCuMultiprocessors = 16,
  kCuMajor = 75,
  kCuMinor = 76,
  kCuMostSharedBytes = 97,  // of a block, where it asks
};
constexpr int kCuFunctionMostSharedBytes = 8;
constexpr int kCuPointerDevice = 9;
/** Of tensor maps: elements, no interleaving, rows of 128 bytes swizzled, 256 bytes at a time into L2, zeros outside. */
constexpr int kCuMapBFloat16 = 9, kCuMapPlain = 0, kCuMapSwizzle128 = 3, kCuMapPromote256 = 3, kCuMapZeros = 0;

/** F(result, name without cu, exported name, parameters): must be there. */
#define TFXF_CUDA_FUNCTIONS(F)                                                                                   \
  F(CuResult, Init, "cuInit", (unsigned))                                                                        \
  F(CuResult, DriverGetVersion, "cuDriverGetVersion", (int*))                                                    \
  F(CuResult, GetErrorString, "cuGetErrorString", (CuResult, const char**))                                      \
  F(CuResult, DeviceGetCount, "cuDeviceGetCount", (int*))                                                        \
  F(CuResult, DeviceGet, "cuDeviceGet", (CuDevice*, int))                                                        \
  F(CuResult, DeviceGetName, "cuDeviceGetName", (char*, int, CuDevice))                                          \
  F(CuResult, DeviceGetAttribute, "cuDeviceGetAttribute", (int*, CuDeviceAttribute, CuDevice))                   \
  F(CuResult, DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CuContext*, CuDevice))                        \
  F(CuResult, CtxPushCurrent, "cuCtxPushCurrent_v2", (CuContext))                                                \
  F(CuResult, CtxPopCurrent, "cuCtxPopCurrent_v2", (CuContext*))                                                 \
  F(CuResult, CtxSynchronize, "cuCtxSynchronize", (void))                                                        \
  F(CuResult, ModuleLoadData, "cuModuleLoadData", (CuModule*, const void*))                                      \
  F(CuResult, ModuleGetFunction, "cuModuleGetFunction", (CuFunction*, CuModule, const char*))                    \
  F(CuResult, FuncSetAttribute, "cuFuncSetAttribute", (CuFunction, int, int))                                    \
  F(CuResult, LaunchKernel, "cuLaunchKernel",                                                                    \
    (CuFunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CuStream, void**, void**)) \
  F(CuResult, StreamCreate, "cuStreamCreate", (CuStream*, unsigned))                                             \
  F(CuResult, StreamSynchronize, "cuStreamSynchronize", (CuStream))                                              \
  F(CuResult, StreamWaitEvent, "cuStreamWaitEvent", (CuStream, CuEvent, unsigned))                               \
  F(CuResult, EventCreate, "cuEventCreate", (CuEvent*, unsigned))                                                \
  F(CuResult, EventRecord, "cuEventRecord", (CuEvent, CuStream))                                                 \
  F(CuResult, EventSynchronize, "cuEventSynchronize", (CuEvent))                                                 \
  F(CuResult, EventElapsedTime, "cuEventElapsedTime", (float*, CuEvent, CuEvent))                                \
  F(CuResult, MemAlloc, "cuMemAlloc_v2", (CuAddress*, size_t))                                                   \
  F(CuResult, MemFree, "cuMemFree_v2", (CuAddress))                                                              \
  F(CuResult, MemsetD8Async, "cuMemsetD8Async", (CuAddress, unsigned char, size_t, CuStream))                    \
  F(CuResult, MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (CuAddress, const void*, size_t, CuStream))               \
  F(CuResult, MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void*, CuAddress, size_t, CuStream))                     \
  F(CuResult, PointerGetAttribute, "cuPointerGetAttribute", (void*, int, CuAddress))

/** May be missing: the first two in drivers before 12.5, the third in drivers before 12.0. */
#define TFXF_CUDA_NEWER_FUNCTIONS(F)                                     \
  F(CuResult, CtxRecordEvent, "cuCtxRecordEvent", (CuContext, CuEvent))  \
  F(CuResult, CtxWaitEvent, "cuCtxWaitEvent", (CuContext, CuEvent))      \
  F(CuResult, TensorMapEncodeTiled, "cuTensorMapEncodeTiled",            \
    (void*, int, unsigned, void*, const uint64_t*, const uint64_t*, const unsigned*, const unsigned*, int, int, int, int))

struct DriverApi {
#define TFXF_MEMBER(result, name, exported, parameters) result(*name) parameters;
  TFXF_CUDA_FUNCTIONS(TFXF_MEMBER)
  TFXF_CUDA_NEWER_FUNCTIONS(TFXF_MEMBER)
#undef TFXF_MEMBER
};

}  // namespace cuda
}  // namespace tfxf
