// SPDX-License-Identifier: Apache-2.0
/**
 * TfxfFusedNorm: layer norm and RMS norm over the last axis, with an addition before it if there is a
 * residual; cpu/norm.h has the formula. Outputs are the norm, (mean, rstd) of each row, and the sum.
 */
#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/gpu.h"
#include "ops/infer_shapes.h"
#include "ops/norm_rows.h"
#include "ops/op_kernel.h"

namespace tfxf {
namespace {

void norm_on_gpu(OpCall& call, const NormForwardArgs& args) {
  if (args.rows == 0) return;
  run_on_gpu(call, args.stats, [&](cuda::Device& device, cuda::Error& error) { cuda::norm_forward(device, args, error); });
}

struct NormKernel {
  DType x_dtype, residual_dtype, gamma_dtype, beta_dtype, output_dtype;
  int residual_count, gamma_count, beta_count;
  int64_t columns;
  bool rms;
  float epsilon, weight_offset;

  void read(Construction& construction) {
    x_dtype = construction.storage("Tx");
    residual_dtype = construction.storage("Tresidual");
    gamma_dtype = construction.storage("Tgamma");
    beta_dtype = construction.storage("Tbeta");
    output_dtype = construction.storage("Toutput");
    residual_count = construction.count("Nresidual");
    gamma_count = construction.count("Ngamma");
    beta_count = construction.count("Nbeta");
    columns = construction.size("columns", 0);
    rms = construction.flag("rms");
    epsilon = construction.number("epsilon");
    weight_offset = construction.number("weight_offset");
    if (epsilon <= 0.0f) {
      construction.fail("attribute epsilon is %g, expected a positive number", epsilon);
    }
    if (rms && beta_count > 0) construction.fail("RMS norm has no beta");
  }

  void compute(OpCall& call) const {
    const Tensor x = call.input("x", stored_type(x_dtype));
    const Tensor residual =
        call.optional_input(residual_count, "residual", stored_type(residual_dtype));
    const Tensor gamma = call.optional_input(gamma_count, "gamma", stored_type(gamma_dtype));
    const Tensor beta = call.optional_input(beta_count, "beta", stored_type(beta_dtype));
    NormForwardArgs args = {};
    args.rows = rows_of(call, "x", x, x_dtype, columns);
    if (!call.ok()) return;
    const auto like_x = [&](DType dtype) {
      return x.shape.with_last(stored_columns(dtype, columns));
    };
    call.check_shape("residual", residual, like_x(residual_dtype));
    call.check_shape("gamma", gamma, Shape::of(stored_columns(gamma_dtype, columns)));
    call.check_shape("beta", beta, Shape::of(stored_columns(beta_dtype, columns)));
    args.columns = columns;
    args.rms = rms;
    args.epsilon = epsilon;
    args.weight_offset = weight_offset;
    args.x = rows_view(x, x_dtype);
    args.residual = rows_view(residual, residual_dtype);
    args.gamma = rows_view(gamma, gamma_dtype);
    args.beta = rows_view(beta, beta_dtype);
    args.output = call.output(stored_type(output_dtype), like_x(output_dtype));
    args.output_dtype = output_dtype;
    args.stats = call.float_output(Shape::of(args.rows, 2));
    if (residual_count > 0) args.sum = call.float_output(like_x(DType::kFloat32));
    if (!call.ok()) return;
    if (call.on_gpu()) return norm_on_gpu(call, args);
    const FloatModeScope mode(Subnormals::kKeep);
    kernels().norm_forward(args, thread_pool());
  }
};

void infer_norm(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  if (inference.checked_rank("x", 0, 1, kMostAxes) < 0) return;
  const bool same = inference.is_packed("Tx") == inference.is_packed("Toutput");
  if (same) inference.set_output(0, inference.input(0));
}

}  // namespace

const OpDefinition kNormOp = {
    "TfxfFusedNormV1",
    {"Tx: {float, int32} = DT_FLOAT", "Tresidual: {float, int32} = DT_FLOAT",
     "Tgamma: {float, int32} = DT_FLOAT", "Tbeta: {float, int32} = DT_FLOAT",
     "Toutput: {float, int32} = DT_FLOAT", "Nresidual: int >= 0 = 0", "Ngamma: int >= 0 = 0",
     "Nbeta: int >= 0 = 0", "columns: int >= 0", "rms: bool", "epsilon: float",
     "weight_offset: float", nullptr},
    {"x: Tx", "residual: Nresidual * Tresidual", "gamma: Ngamma * Tgamma", "beta: Nbeta * Tbeta",
     nullptr},
    {"output: Toutput", "stats: float", "sum: Nresidual * float", nullptr},
    infer_norm,
    create_kernel<NormKernel>,
    run_kernel<NormKernel>,
    run_gpu_kernel<NormKernel>,
};

}  // namespace tfxf
