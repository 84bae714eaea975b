// SPDX-License-Identifier: Apache-2.0
/**
 * TfxfBFloat16Pack: float32 [..., D] to int32 words [..., ceil(D / 2)]; a scalar to [1].
 * TfxfBFloat16Unpack: back; the attribute `columns` is D.
 */
#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/gpu.h"
#include "ops/infer_shapes.h"
#include "ops/op_kernel.h"

namespace tfxf {
namespace {

/** Conversion of a tensor of this logical shape, which is not empty. */
ConvertArgs convert_args(const Shape& shape, const void* x, void* y) {
  return {shape.elements() / shape.last(), shape.last(), x, y};
}

struct PackKernel {
  void read(Construction&) {}

  void compute(OpCall& call) const {
    const Tensor x = call.input("x", kTfFloat);
    const Shape shape = x.shape.rank > 0 ? x.shape : Shape::of(1);
    const int64_t words = stored_columns(DType::kBFloat16, shape.last());
    void* y = call.output(kTfInt32, shape.with_last(words));
    if (!call.ok() || shape.elements() == 0) return;
    const ConvertArgs args = convert_args(shape, x.data, y);
    if (call.on_gpu()) {
      return run_on_gpu(call, y, [&](cuda::Device& gpu, cuda::Error& error) { cuda::pack_bfloat16(gpu, args, error); });
    }
    const FloatModeScope mode(Subnormals::kKeep);
    kernels().pack_bfloat16(args, thread_pool());
  }
};

struct UnpackKernel {
  int64_t columns;

  void read(Construction& construction) { columns = construction.size("columns", 0); }

  void compute(OpCall& call) const {
    const Tensor x = call.input("x", kTfInt32);
    if (x.shape.rank < 1) return call.fail("x is a scalar, expected rank 1 or more");
    call.check_shape("x", x, x.shape.with_last(stored_columns(DType::kBFloat16, columns)));
    const Shape shape = x.shape.with_last(columns);
    void* y = call.output(kTfFloat, shape);
    if (!call.ok() || shape.elements() == 0) return;
    const ConvertArgs args = convert_args(shape, x.data, y);
    if (call.on_gpu()) {
      return run_on_gpu(call, y, [&](cuda::Device& gpu, cuda::Error& error) { cuda::unpack_bfloat16(gpu, args, error); });
    }
    const FloatModeScope mode(Subnormals::kKeep);
    kernels().unpack_bfloat16(args, thread_pool());
  }
};

void infer_pack(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  const int rank = inference.checked_rank("x", 0, 0, kMostAxes);
  if (rank == 0) inference.set_output(0, inference.vector(1));
  if (rank < 1) return;
  const KnownShape x = inference.input(0);
  const int64_t columns = inference.size(x, rank - 1);
  if (columns < 0) return;
  const KnownShape words = inference.vector(stored_columns(DType::kBFloat16, columns));
  inference.set_output(0, inference.joined(inference.axes(x, 0, rank - 1), words));
}

void infer_unpack(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  inference.checked_rank("x", 0, 1, kMostAxes);
}

}  // namespace

const OpDefinition kBFloat16PackOp = {
    "TfxfBFloat16PackV1",
    {nullptr},
    {"x: float", nullptr},
    {"y: int32", nullptr},
    infer_pack,
    create_kernel<PackKernel>,
    run_kernel<PackKernel>,
    run_gpu_kernel<PackKernel>,
};

const OpDefinition kBFloat16UnpackOp = {
    "TfxfBFloat16UnpackV1",
    {"columns: int >= 0", nullptr},
    {"x: int32", nullptr},
    {"y: float", nullptr},
    infer_unpack,
    create_kernel<UnpackKernel>,
    run_kernel<UnpackKernel>,
    run_gpu_kernel<UnpackKernel>,
};

}  // namespace tfxf
