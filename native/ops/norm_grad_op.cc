// SPDX-License-Identifier: Apache-2.0
/** TfxfFusedNormGrad: gradients of TfxfFusedNorm, all float32. x is the sum where there was a residual. */
#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/gpu.h"
#include "ops/infer_shapes.h"
#include "ops/norm_rows.h"
#include "ops/op_kernel.h"

namespace tfxf {
namespace {

void gradient_on_gpu(OpCall& call, NormBackwardArgs& args) {
  const void* output = args.rows > 0 ? args.dx : args.dgamma != nullptr ? args.dgamma : args.dbeta;
  if (output == nullptr) return;
  args.workspace = call.workspace(cuda::norm_backward_workspace(args));
  run_on_gpu(call, output, [&](cuda::Device& device, cuda::Error& error) { cuda::norm_backward(device, args, error); });
}

struct NormGradKernel {
  DType x_dtype, gamma_dtype;
  int gamma_count, dsum_count, beta_count;
  int64_t columns;
  bool rms;
  float weight_offset;

  void read(Construction& construction) {
    x_dtype = construction.storage("Tx");
    gamma_dtype = construction.storage("Tgamma");
    gamma_count = construction.count("Ngamma");
    dsum_count = construction.count("Ndsum");
    beta_count = construction.count("Nbeta");
    columns = construction.size("columns", 0);
    rms = construction.flag("rms");
    weight_offset = construction.number("weight_offset");
    if (rms && beta_count > 0) construction.fail("RMS norm has no beta");
  }

  void compute(OpCall& call) const {
    const Tensor dy = call.input("dy", kTfFloat);
    const Tensor x = call.input("x", stored_type(x_dtype));
    const Tensor stats = call.input("stats", kTfFloat);
    const Tensor gamma = call.optional_input(gamma_count, "gamma", stored_type(gamma_dtype));
    const Tensor dsum = call.optional_input(dsum_count, "dsum", kTfFloat);
    NormBackwardArgs args = {};
    args.rows = rows_of(call, "x", x, x_dtype, columns);
    if (!call.ok()) return;
    const Shape logical = x.shape.with_last(columns);
    call.check_shape("dy", dy, logical);
    call.check_shape("stats", stats, Shape::of(args.rows, 2));
    call.check_shape("gamma", gamma, Shape::of(stored_columns(gamma_dtype, columns)));
    call.check_shape("dsum", dsum, logical);
    args.columns = columns;
    args.rms = rms;
    args.weight_offset = weight_offset;
    args.dy = dy.floats();
    args.x = rows_view(x, x_dtype);
    args.gamma = rows_view(gamma, gamma_dtype);
    args.stats = stats.floats();
    args.dsum = dsum.floats();
    args.dx = call.float_output(logical);
    if (gamma_count > 0) args.dgamma = call.float_output(Shape::of(columns));
    if (beta_count > 0) args.dbeta = call.float_output(Shape::of(columns));
    if (!call.ok()) return;
    if (call.on_gpu()) return gradient_on_gpu(call, args);
    args.workspace = call.workspace(norm_backward_workspace(args));
    if (!call.ok()) return;
    const FloatModeScope mode(Subnormals::kKeep);
    kernels().norm_backward(args, thread_pool());
  }
};

void infer_norm_grad(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  const int rank = inference.checked_rank("dy", 0, 1, kMostAxes);
  inference.checked_rank("x", 1, 1, kMostAxes);
  inference.checked_rank("stats", 2, 2, 2);
  if (rank > 0) inference.set_output(0, inference.input(0));
}

}  // namespace

const OpDefinition kNormGradOp = {
    "TfxfFusedNormGradV1",
    {"Tx: {float, int32} = DT_FLOAT", "Tgamma: {float, int32} = DT_FLOAT",
     "Ngamma: int >= 0 = 0", "Ndsum: int >= 0 = 0", "Nbeta: int >= 0 = 0", "columns: int >= 0",
     "rms: bool", "weight_offset: float", nullptr},
    {"dy: float", "x: Tx", "stats: float", "gamma: Ngamma * Tgamma", "dsum: Ndsum * float", nullptr},
    {"dx: float", "dgamma: Ngamma * float", "dbeta: Nbeta * float", nullptr},
    infer_norm_grad,
    create_kernel<NormGradKernel>,
    run_kernel<NormGradKernel>,
    run_gpu_kernel<NormGradKernel>,
};

}  // namespace tfxf
