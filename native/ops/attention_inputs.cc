// SPDX-License-Identifier: Apache-2.0
/** Checks that the tensors of an attention call fit each other, and views of them for the kernels. */
#include "ops/attention_inputs.h"

#include "ops/attention_params.h"

namespace tfxf {

void AttentionAttributes::read(Construction& construction) {
  dtype = construction.storage("T");
  output_dtype = construction.storage("Toutput");
  bool_bias = construction.type("Tbias") == kTfBool;
  bias_count = construction.count("Nbias");
  sink_count = construction.count("Nsink");
  key_dim = construction.size("key_dim", 1);
  value_dim = construction.size("value_dim", 1);
}

AttentionInputs take_attention_inputs(OpCall& call, const AttentionAttributes& attributes) {
  AttentionInputs inputs;
  const TfDataType type = stored_type(attributes.dtype);
  inputs.query = call.input("query", type);
  inputs.key = call.input("key", type);
  inputs.value = call.input("value", type);
  inputs.bias = call.optional_input(attributes.bias_count, "bias", attributes.bias_type());
  inputs.sink = call.optional_input(attributes.sink_count, "sink", kTfFloat);
  return inputs;
}

namespace {

AttentionShape shape_of(OpCall& call, const AttentionAttributes& attributes,
                        const AttentionInputs& inputs) {
  const Shape& query = inputs.query.shape;
  const Shape& key = inputs.key.shape;
  if (query.rank != 4 || key.rank != 4) {
    call.fail("query and key are of rank %d and %d, expected 4: [B, M, heads, D]", query.rank,
              key.rank);
    return {};
  }
  const int64_t batch = query.dims[0], keys = key.dims[1], kv_heads = key.dims[2];
  const int64_t key_words = stored_columns(attributes.dtype, attributes.key_dim);
  const int64_t value_words = stored_columns(attributes.dtype, attributes.value_dim);
  call.check_shape("query", inputs.query, query.with_last(key_words));
  call.check_shape("key", inputs.key, Shape::of(batch, keys, kv_heads, key_words));
  call.check_shape("value", inputs.value, Shape::of(batch, keys, kv_heads, value_words));
  const AttentionShape shape = {batch,    query.dims[1],      keys, query.dims[2],
                                kv_heads, attributes.key_dim, attributes.value_dim};
  if (kv_heads < 1 || shape.heads < 1 || shape.heads % kv_heads != 0) {
    call.fail("query has %lld heads, key %lld: expected a multiple of at least 1",
              static_cast<long long>(shape.heads), static_cast<long long>(kv_heads));
  }
  // Masks count rows in 32 bits.
  const int64_t sizes[] = {batch, shape.queries, keys, shape.heads};
  for (const int64_t size : sizes) {
    if (size > kUnbounded) {
      call.fail("an axis of %lld is too long, at most %lld are supported",
                static_cast<long long>(size), static_cast<long long>(kUnbounded));
    }
  }
  // Only of an empty tensor can the size overflow.
  const Tensor tensors[] = {inputs.query, inputs.key, inputs.value};
  const int64_t longest = shape.key_dim > shape.value_dim ? shape.key_dim : shape.value_dim;
  for (const Tensor& tensor : tensors) {
    if (!is_sound(tensor.shape.with_last(longest))) {
      call.fail("the product of the sizes of query, key or value overflows");
      return {};
    }
  }
  return shape;
}

/** Strides of the bias, 0 along the axes that are broadcast. */
BiasView bias_view(OpCall& call, const AttentionAttributes& attributes, const Tensor& bias,
                   const AttentionShape& shape) {
  BiasView view;
  if (!bias.is_there) return view;
  const Shape full = Shape::of(shape.batch, shape.heads, shape.queries, shape.keys);
  Shape expected = full;
  for (int axis = 0; axis < 4; axis++) {
    if (bias.shape.rank == 4 && bias.shape.dims[axis] == 1) expected.dims[axis] = 1;
  }
  call.check_shape("bias", bias, expected);
  if (!is_sound(bias.shape)) call.fail("the product of the sizes of bias overflows");
  if (!call.ok()) return view;
  int64_t* strides[] = {&view.b, &view.h, &view.i, &view.j};
  int64_t stride = 1;
  for (int axis = 3; axis >= 0; axis--) {
    *strides[axis] = bias.shape.dims[axis] == 1 ? 0 : stride;
    stride *= bias.shape.dims[axis];
  }
  view.kind = attributes.bool_bias ? BiasKind::kBool : BiasKind::kFloat;
  view.data = bias.data;
  return view;
}

}  // namespace

AttentionArgs attention_args(OpCall& call, const AttentionAttributes& attributes,
                             const AttentionInputs& inputs, const Tensor& params) {
  AttentionArgs args = {};
  if (!call.ok()) return args;
  args.shape = shape_of(call, attributes, inputs);
  if (!call.ok()) return args;
  const AttentionShape& shape = args.shape;
  const DType dtype = attributes.dtype;
  args.query =
      contiguous_heads(inputs.query.data, dtype, shape.queries, shape.heads, shape.key_dim);
  args.key = contiguous_heads(inputs.key.data, dtype, shape.keys, shape.kv_heads, shape.key_dim);
  args.value =
      contiguous_heads(inputs.value.data, dtype, shape.keys, shape.kv_heads, shape.value_dim);
  args.bias = bias_view(call, attributes, inputs.bias, shape);
  call.check_shape("sink", inputs.sink, Shape::of(shape.heads));
  args.sink = inputs.sink.floats();
  read_attention_params(call, params, args);
  return args;
}

bool is_empty(const AttentionShape& shape) {
  return shape.batch == 0 || shape.queries == 0 || shape.keys == 0;
}

}  // namespace tfxf
