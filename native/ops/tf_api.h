// SPDX-License-Identifier: Apache-2.0
/**
 * The part of TensorFlow's C API that the ops use. The addon does not link TensorFlow: the functions
 * are found in the library that is in the process already (tf_library.h) and called through `tf`.
 *
 * The signatures are those of tensorflow/c/{c_api,kernels,ops,tf_tensor,tf_status,tf_buffer}.h, which
 * have been stable since TensorFlow 2.4. Types that are only pointed to stay opaque.
 */
#pragma once

#include <cstddef>
#include <cstdint>

/** Laid out as in tf_buffer.h. */
struct TF_Buffer {
  const void* data;
  size_t length;
  void (*data_deallocator)(void* data, size_t length);
};
struct TF_DimensionHandle;
struct TF_Graph;
struct TF_KernelBuilder;
struct TF_OpDefinitionBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
struct TF_ShapeHandle;
struct TF_ShapeInferenceContext;
struct TF_Status;
struct TF_Tensor;

namespace tfxf {

/** Values of TF_DataType; only those in use. */
enum TfDataType : int { kTfFloat = 1, kTfInt32 = 3, kTfUint8 = 4, kTfBool = 10 };

/** Values of TF_Code; only those in use. */
enum TfCode : int { kTfOk = 0, kTfInvalidArgument = 3, kTfResourceExhausted = 8 };

/** TF_AllocatorAttributes. */
struct TfAllocatorAttributes {
  size_t struct_size;
  unsigned char on_host;
};

using TfCreate = void* (*)(TF_OpKernelConstruction*);
using TfCompute = void (*)(void*, TF_OpKernelContext*);
using TfDelete = void (*)(void*);
using TfInferShapes = void (*)(TF_ShapeInferenceContext*, TF_Status*);

/** F(result, name without TF_, parameters) */
#define TFXF_TENSORFLOW_FUNCTIONS(F)                                                              \
  F(const char*, Version, (void))                                                                 \
  F(TF_Status*, NewStatus, (void))                                                                \
  F(void, DeleteStatus, (TF_Status*))                                                             \
  F(void, SetStatus, (TF_Status*, TfCode, const char*))                                           \
  F(TfCode, GetCode, (const TF_Status*))                                                          \
  F(const char*, Message, (const TF_Status*))                                                     \
  F(TF_Buffer*, NewBuffer, (void))                                                                \
  F(void, DeleteBuffer, (TF_Buffer*))                                                             \
  F(TF_Graph*, NewGraph, (void))                                                                  \
  F(void, DeleteGraph, (TF_Graph*))                                                               \
  F(void, GraphGetOpDef, (TF_Graph*, const char*, TF_Buffer*, TF_Status*))                        \
  F(TF_OpDefinitionBuilder*, NewOpDefinitionBuilder, (const char*))                               \
  F(void, OpDefinitionBuilderAddAttr, (TF_OpDefinitionBuilder*, const char*))                     \
  F(void, OpDefinitionBuilderAddInput, (TF_OpDefinitionBuilder*, const char*))                    \
  F(void, OpDefinitionBuilderAddOutput, (TF_OpDefinitionBuilder*, const char*))                   \
  F(void, OpDefinitionBuilderSetShapeInferenceFunction, (TF_OpDefinitionBuilder*, TfInferShapes)) \
  F(void, RegisterOpDefinition, (TF_OpDefinitionBuilder*, TF_Status*))                            \
  F(TF_Buffer*, GetRegisteredKernelsForOp, (const char*, TF_Status*))                             \
  F(TF_KernelBuilder*, NewKernelBuilder,                                                          \
    (const char*, const char*, TfCreate, TfCompute, TfDelete))                                    \
  F(void, RegisterKernelBuilder, (const char*, TF_KernelBuilder*, TF_Status*))                    \
  F(void, KernelBuilder_HostMemory, (TF_KernelBuilder*, const char*))                             \
  F(void, OpKernelConstruction_GetAttrType,                                                       \
    (TF_OpKernelConstruction*, const char*, TfDataType*, TF_Status*))                             \
  F(void, OpKernelConstruction_GetAttrInt64,                                                      \
    (TF_OpKernelConstruction*, const char*, int64_t*, TF_Status*))                                \
  F(void, OpKernelConstruction_GetAttrFloat,                                                      \
    (TF_OpKernelConstruction*, const char*, float*, TF_Status*))                                  \
  F(void, OpKernelConstruction_GetAttrBool,                                                       \
    (TF_OpKernelConstruction*, const char*, unsigned char*, TF_Status*))                          \
  F(void, OpKernelConstruction_Failure, (TF_OpKernelConstruction*, TF_Status*))                   \
  F(int, NumInputs, (TF_OpKernelContext*))                                                        \
  F(void, GetInput, (TF_OpKernelContext*, int, TF_Tensor**, TF_Status*))                          \
  F(TF_Tensor*, AllocateOutput,                                                                   \
    (TF_OpKernelContext*, int, TfDataType, const int64_t*, int, size_t, TF_Status*))              \
  F(TF_Tensor*, AllocateTemp,                                                                     \
    (TF_OpKernelContext*, TfDataType, const int64_t*, int, TfAllocatorAttributes*, TF_Status*))   \
  F(void, OpKernelContext_Failure, (TF_OpKernelContext*, TF_Status*))                             \
  F(TfDataType, TensorType, (const TF_Tensor*))                                                   \
  F(int, NumDims, (const TF_Tensor*))                                                             \
  F(int64_t, Dim, (const TF_Tensor*, int))                                                        \
  F(void*, TensorData, (const TF_Tensor*))                                                        \
  F(void, DeleteTensor, (TF_Tensor*))                                                             \
  F(int64_t, ShapeInferenceContextNumInputs, (TF_ShapeInferenceContext*))                         \
  F(TF_ShapeHandle*, NewShapeHandle, (void))                                                      \
  F(void, DeleteShapeHandle, (TF_ShapeHandle*))                                                   \
  F(void, ShapeInferenceContextGetInput,                                                          \
    (TF_ShapeInferenceContext*, int, TF_ShapeHandle*, TF_Status*))                                \
  F(void, ShapeInferenceContextSetOutput,                                                         \
    (TF_ShapeInferenceContext*, int, TF_ShapeHandle*, TF_Status*))                                \
  F(void, ShapeInferenceContextSetUnknownShape, (TF_ShapeInferenceContext*, TF_Status*))          \
  F(TF_ShapeHandle*, ShapeInferenceContextVectorFromSize, (TF_ShapeInferenceContext*, size_t))    \
  F(void, ShapeInferenceContext_GetAttrType,                                                      \
    (TF_ShapeInferenceContext*, const char*, TfDataType*, TF_Status*))                            \
  F(int64_t, ShapeInferenceContextRank, (TF_ShapeInferenceContext*, TF_ShapeHandle*))             \
  F(int, ShapeInferenceContextRankKnown, (TF_ShapeInferenceContext*, TF_ShapeHandle*))            \
  F(void, ShapeInferenceContextSubshape,                                                          \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, int64_t, int64_t, TF_ShapeHandle*, TF_Status*))  \
  F(void, ShapeInferenceContextConcatenateShapes,                                                 \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, TF_ShapeHandle*, TF_ShapeHandle*, TF_Status*))   \
  F(TF_DimensionHandle*, NewDimensionHandle, (void))                                              \
  F(void, DeleteDimensionHandle, (TF_DimensionHandle*))                                           \
  F(void, ShapeInferenceContextDim,                                                               \
    (TF_ShapeInferenceContext*, TF_ShapeHandle*, int64_t, TF_DimensionHandle*))                   \
  F(int, DimensionHandleValueKnown, (TF_DimensionHandle*))                                        \
  F(int64_t, DimensionHandleValue, (TF_DimensionHandle*))

struct TensorFlowApi {
#define TFXF_MEMBER(result, name, parameters) result(*name) parameters;
  TFXF_TENSORFLOW_FUNCTIONS(TFXF_MEMBER)
#undef TFXF_MEMBER
};

/** The functions; null until find_tensorflow() has succeeded. */
extern TensorFlowApi tf;

}  // namespace tfxf
