// SPDX-License-Identifier: Apache-2.0
/**
 * TfxfAttentionGrad, TfxfAttentionBiasGrad, TfxfAttentionSinkGrad: gradients of TfxfAttention for
 * query, key and value; for a float bias; for the sink. All take the same inputs, and all results are
 * float32, of the logical shapes.
 */
#include <string.h>

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/attention_inputs.h"
#include "ops/gpu.h"
#include "ops/infer_shapes.h"

namespace tfxf {
namespace {

enum class Wanted { kInputs, kBias, kSink };

/** Without queries or without keys all gradients are zero. */
void zero(float* gradient, const Shape& shape) {
  const size_t bytes = static_cast<size_t>(shape.elements()) * sizeof(float);
  if (gradient != nullptr && bytes > 0) memset(gradient, 0, bytes);
}

/** An output that is wanted and not empty, to find the device by. */
const void* some_output(const AttentionBackwardArgs& args) {
  const void* const outputs[] = {args.dquery, args.dkey, args.dvalue, args.dbias, args.dsink};
  for (const void* output : outputs) {
    if (output != nullptr) return output;
  }
  return nullptr;
}

void run_gradient_on_gpu(OpCall& call, AttentionBackwardArgs& args) {
  const void* output = some_output(args);
  if (output == nullptr) return;
  args.workspace = call.workspace(cuda::attention_backward_workspace(args));
  run_on_gpu(call, output, [&](cuda::Device& device, cuda::Error& error) { cuda::attention_backward(device, args, error); });
}

template <Wanted kWanted>
struct AttentionGradKernel {
  AttentionAttributes attributes;
  int dlse_count;

  void read(Construction& construction) {
    attributes.read(construction);
    dlse_count = construction.count("Ndlse");
    if (kWanted == Wanted::kBias && (attributes.bias_count == 0 || attributes.bool_bias)) {
      construction.fail("there is no float bias that could have a gradient");
    }
    if (kWanted == Wanted::kSink && attributes.sink_count == 0) {
      construction.fail("there is no sink that could have a gradient");
    }
  }

  void compute(OpCall& call) const {
    const AttentionInputs inputs = take_attention_inputs(call, attributes);
    const DType output_dtype = attributes.output_dtype;
    const Tensor doutput = call.input("doutput", kTfFloat);
    const Tensor output = call.input("output", stored_type(output_dtype));
    const Tensor log_sum_exp = call.input("log_sum_exp", kTfFloat);
    const Tensor dlog_sum_exp = call.optional_input(dlse_count, "dlog_sum_exp", kTfFloat);
    const Tensor params = call.input("params", kTfInt32);
    AttentionBackwardArgs args = {};
    args.common = attention_args(call, attributes, inputs, params);
    if (!call.ok()) return;
    const AttentionShape& shape = args.common.shape;
    const Shape rows = Shape::of(shape.batch, shape.heads, shape.queries);
    const Shape logical = Shape::of(shape.batch, shape.queries, shape.heads, shape.value_dim);
    call.check_shape("doutput", doutput, logical);
    call.check_shape("output", output,
                     logical.with_last(stored_columns(output_dtype, shape.value_dim)));
    call.check_shape("log_sum_exp", log_sum_exp, rows);
    call.check_shape("dlog_sum_exp", dlog_sum_exp, rows);
    args.doutput = doutput.floats();
    args.output = output.data;
    args.output_dtype = output_dtype;
    args.log_sum_exp = log_sum_exp.floats();
    args.dlog_sum_exp = dlog_sum_exp.floats();
    run(call, args, inputs);
  }

 private:
  /** Allocates the outputs that are wanted and computes them. */
  void run(OpCall& call, AttentionBackwardArgs& args, const AttentionInputs& inputs) const {
    const AttentionShape& shape = args.common.shape;
    const Shape query = inputs.query.shape.with_last(shape.key_dim);
    const Shape key = inputs.key.shape.with_last(shape.key_dim);
    const Shape value = inputs.value.shape.with_last(shape.value_dim);
    if (kWanted == Wanted::kInputs) {
      args.dquery = call.float_output(query);
      args.dkey = call.float_output(key);
      args.dvalue = call.float_output(value);
    } else if (kWanted == Wanted::kBias) {
      args.dbias = call.float_output(inputs.bias.shape);
      memcpy(args.dbias_shape, inputs.bias.shape.dims, sizeof args.dbias_shape);
    } else {
      args.dsink = call.float_output(inputs.sink.shape);
    }
    if (!call.ok()) return;
    if (call.on_gpu()) return run_gradient_on_gpu(call, args);
    if (is_empty(shape)) {
      zero(args.dquery, query);
      zero(args.dkey, key);
      zero(args.dvalue, value);
      zero(args.dbias, inputs.bias.shape);
      zero(args.dsink, inputs.sink.shape);
      return;
    }
    const KernelTable& table = kernels();
    const Parallel& parallel = thread_pool();
    args.workspace = call.workspace(table.attention_backward_workspace(args, parallel.workers));
    if (!call.ok()) return;
    const FloatModeScope mode(Subnormals::kFlush);
    table.attention_backward(args, parallel);
  }
};

/** Checks ranks; the shapes of the results are known where their inputs are not packed. */
void check_ranks(Inference& inference) {
  inference.checked_rank("query", 0, 4, 4);
  inference.checked_rank("key", 1, 4, 4);
  inference.checked_rank("value", 2, 4, 4);
  inference.checked_rank("params", inference.inputs() - 1, 1, 1);
}

void infer_grad(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  check_ranks(inference);
  if (inference.is_packed("T")) return;
  for (int n = 0; n < 3; n++) inference.set_output(n, inference.input(n));
}

void infer_bias_grad(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  check_ranks(inference);
  if (inference.checked_rank("bias", 3, 4, 4) > 0) inference.set_output(0, inference.input(3));
}

void infer_sink_grad(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  check_ranks(inference);
}

}  // namespace

#define TFXF_GRAD_ATTRIBUTES TFXF_ATTENTION_ATTRIBUTES, "Ndlse: int >= 0 = 0"
#define TFXF_GRAD_INPUTS                                                                   \
  TFXF_ATTENTION_INPUTS, "doutput: float", "output: Toutput", "log_sum_exp: float",        \
      "dlog_sum_exp: Ndlse * float", "params: int32"

const OpDefinition kAttentionGradOp = {
    "TfxfAttentionGradV1",
    {TFXF_GRAD_ATTRIBUTES, nullptr},
    {TFXF_GRAD_INPUTS, nullptr},
    {"dquery: float", "dkey: float", "dvalue: float", nullptr},
    infer_grad,
    create_kernel<AttentionGradKernel<Wanted::kInputs>>,
    run_kernel<AttentionGradKernel<Wanted::kInputs>>,
    run_gpu_kernel<AttentionGradKernel<Wanted::kInputs>>,
};

const OpDefinition kAttentionBiasGradOp = {
    "TfxfAttentionBiasGradV1",
    {TFXF_GRAD_ATTRIBUTES, nullptr},
    {TFXF_GRAD_INPUTS, nullptr},
    {"dbias: float", nullptr},
    infer_bias_grad,
    create_kernel<AttentionGradKernel<Wanted::kBias>>,
    run_kernel<AttentionGradKernel<Wanted::kBias>>,
    run_gpu_kernel<AttentionGradKernel<Wanted::kBias>>,
};

const OpDefinition kAttentionSinkGradOp = {
    "TfxfAttentionSinkGradV1",
    {TFXF_GRAD_ATTRIBUTES, nullptr},
    {TFXF_GRAD_INPUTS, nullptr},
    {"dsink: float", nullptr},
    infer_sink_grad,
    create_kernel<AttentionGradKernel<Wanted::kSink>>,
    run_kernel<AttentionGradKernel<Wanted::kSink>>,
    run_gpu_kernel<AttentionGradKernel<Wanted::kSink>>,
};

}  // namespace tfxf
