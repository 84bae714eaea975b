// SPDX-License-Identifier: Apache-2.0
/**
 * TfxfAttention: query [B, Mq, H, K], key [B, Mk, G, K] and value [B, Mk, G, V] to the output
 * [B, Mq, H, V] and logSumExp [B, H, Mq]; src/spec/attention.ts has the formulas.
 */
#include <math.h>
#include <string.h>

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/attention_inputs.h"
#include "ops/gpu.h"
#include "ops/infer_shapes.h"

namespace tfxf {
namespace {

/** Queries that have no keys: output 0, logSumExp -Infinity. */
void attend_nothing(const AttentionForwardArgs& args) {
  const AttentionShape& shape = args.common.shape;
  const int64_t rows = shape.batch * shape.queries * shape.heads;
  const int64_t row_bytes =
      row_elements(args.output_dtype, shape.value_dim) * element_bytes(args.output_dtype);
  if (rows == 0) return;
  memset(args.output, 0, static_cast<size_t>(rows * row_bytes));
  for (int64_t row = 0; row < rows; row++) args.log_sum_exp[row] = -INFINITY;
}

void attend_on_gpu(OpCall& call, AttentionForwardArgs& args) {
  if (args.common.shape.batch == 0 || args.common.shape.queries == 0) return;
  const cuda::Device* device = gpu_of(call, args.log_sum_exp);
  if (device == nullptr) return;
  args.workspace = call.workspace(cuda::attention_forward_workspace(*device, args.common));
  run_on_gpu(call, args.log_sum_exp,
             [&](cuda::Device& ready, cuda::Error& error) { cuda::attention_forward(ready, args, error); });
}

struct AttentionKernel {
  AttentionAttributes attributes;

  void read(Construction& construction) { attributes.read(construction); }

  void compute(OpCall& call) const {
    const AttentionInputs inputs = take_attention_inputs(call, attributes);
    const Tensor params = call.input("params", kTfInt32);
    AttentionForwardArgs args = {};
    args.common = attention_args(call, attributes, inputs, params);
    if (!call.ok()) return;
    const AttentionShape& shape = args.common.shape;
    const DType dtype = attributes.output_dtype;
    const int64_t words = stored_columns(dtype, shape.value_dim);
    args.output_dtype = dtype;
    args.output = call.output(stored_type(dtype),
                              Shape::of(shape.batch, shape.queries, shape.heads, words));
    args.log_sum_exp = call.float_output(Shape::of(shape.batch, shape.heads, shape.queries));
    if (!call.ok()) return;
    if (call.on_gpu()) return attend_on_gpu(call, args);
    if (is_empty(shape)) return attend_nothing(args);
    const KernelTable& table = kernels();
    const Parallel& parallel = thread_pool();
    args.workspace = call.workspace(table.attention_forward_workspace(args.common, parallel.workers));
    if (!call.ok()) return;
    const FloatModeScope mode(Subnormals::kFlush);
    table.attention_forward(args, parallel);
  }
};

void infer_attention(TF_ShapeInferenceContext* context, TF_Status* status) {
  Inference inference(context, status);
  const int query_rank = inference.checked_rank("query", 0, 4, 4);
  inference.checked_rank("key", 1, 4, 4);
  const int value_rank = inference.checked_rank("value", 2, 4, 4);
  inference.checked_rank("params", inference.inputs() - 1, 1, 1);
  if (query_rank < 0) return;
  const KnownShape query = inference.input(0);
  const KnownShape batch = inference.axes(query, 0, 1), heads = inference.axes(query, 2, 3);
  const KnownShape outer = inference.joined(batch, heads);
  inference.set_output(1, inference.joined(outer, inference.axes(query, 1, 2)));
  if (value_rank < 0 || inference.is_packed("T") != inference.is_packed("Toutput")) return;
  const KnownShape columns = inference.axes(inference.input(2), 3, 4);
  inference.set_output(0, inference.joined(inference.axes(query, 0, 3), columns));
}

}  // namespace

const OpDefinition kAttentionOp = {
    "TfxfAttentionV1",
    {TFXF_ATTENTION_ATTRIBUTES, nullptr},
    {TFXF_ATTENTION_INPUTS, "params: int32", nullptr},
    {"output: Toutput", "log_sum_exp: float", nullptr},
    infer_attention,
    create_kernel<AttentionKernel>,
    run_kernel<AttentionKernel>,
    run_gpu_kernel<AttentionKernel>,
};

}  // namespace tfxf
