// SPDX-License-Identifier: Apache-2.0
/** What the attention op and its gradients have in common: attributes, inputs, and their checks. */
#pragma once

#include "cpu/attention.h"
#include "ops/op_kernel.h"

namespace tfxf {

struct AttentionAttributes {
  DType dtype, output_dtype;
  bool bool_bias;
  int bias_count, sink_count;
  int64_t key_dim, value_dim;

  void read(Construction& construction);
  TfDataType bias_type() const { return bool_bias ? kTfBool : kTfFloat; }
};

/** The op's specification of them. */
#define TFXF_ATTENTION_ATTRIBUTES                                                     \
  "T: {float, int32} = DT_FLOAT", "Toutput: {float, int32} = DT_FLOAT",               \
      "Tbias: {float, bool} = DT_FLOAT", "Nbias: int >= 0 = 0", "Nsink: int >= 0 = 0", \
      "key_dim: int >= 1", "value_dim: int >= 1"
#define TFXF_ATTENTION_INPUTS \
  "query: T", "key: T", "value: T", "bias: Nbias * Tbias", "sink: Nsink * float"

struct AttentionInputs {
  Tensor query, key, value, bias, sink;
};

/** The first inputs of each op. */
AttentionInputs take_attention_inputs(OpCall& call, const AttentionAttributes& attributes);

/** The arguments of a kernel, checked; `params` is the op's last input. */
AttentionArgs attention_args(OpCall& call, const AttentionAttributes& attributes,
                             const AttentionInputs& inputs, const Tensor& params);

/** Whether there is nothing to attend to, or nobody who attends. */
bool is_empty(const AttentionShape& shape);

}  // namespace tfxf
