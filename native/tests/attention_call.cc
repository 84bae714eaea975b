// SPDX-License-Identifier: Apache-2.0
/** From an AttentionProblem to the structs of cpu/attention.h, and back to plain arrays. */
#include "tests/attention_call.h"

#include "tests/guarded.h"

namespace tfxf {
namespace test {
namespace {

constexpr int32_t kUnreadPage = 0x7fffffff;

void put(uint8_t* bytes, int64_t element, float value, DType dtype) {
  if (dtype == DType::kFloat32) {
    memcpy(bytes + element * 4, &value, 4);
  } else {
    const uint16_t bits = round_bfloat16(value);
    memcpy(bytes + element * 2, &bits, 2);
  }
}

/** A [B, M, heads, D] tensor with the problem's gaps. */
struct Heads {
  HeadsView view;
  std::unique_ptr<GuardedBytes> bytes;

  Heads(const AttentionProblem& p, const std::vector<float>& values, const Shape& shape, const char* name) {
    const int64_t elements = row_elements(p.dtype, shape[3]);
    view.dtype = p.dtype;
    view.head_stride = elements + p.head_gap;
    view.row_stride = view.head_stride * shape[2] + p.row_gap;
    view.batch_stride = view.row_stride * shape[1] + p.batch_gap;
    int64_t end = 0;
    if (size_of(shape) > 0) {
      end = (shape[0] - 1) * view.batch_stride + (shape[1] - 1) * view.row_stride +
            (shape[2] - 1) * view.head_stride + elements;
    }
    const size_t shift = p.row_gap == 0 ? 0 : p.aligned ? 16 : 4;  // a view starts at any word
    bytes.reset(new GuardedBytes(static_cast<size_t>(end * element_bytes(p.dtype)), kGuardByte, name, shift));
    for (int64_t n = 0; n < size_of(shape); n++) {
      const int64_t d = n % shape[3], head = n / shape[3] % shape[2];
      const int64_t row = n / shape[3] / shape[2] % shape[1], b = n / shape[3] / shape[2] / shape[1];
      const int64_t at = b * view.batch_stride + row * view.row_stride + head * view.head_stride + d;
      put(bytes->data(), at, values[static_cast<size_t>(n)], p.dtype);
    }
    view.data = bytes->data();
  }
};

/** The arrays of a Mask. */
struct MaskMemory {
  std::vector<Guarded<int32_t>> arrays;
  Mask mask;

  explicit MaskMemory(const MaskSpec& spec) {
    mask.window_left = spec.left;
    mask.window_right = spec.right;
    mask.bottom_right = spec.bottom_right;
    mask.num_blocks = static_cast<int64_t>(spec.blocks.size());
    mask.page_size = spec.page_size;
    if (spec.blocks.empty()) return;
    std::vector<int32_t> q_start = {0}, k_start, k_length, page_start, table;
    for (const BlockSpec& block : spec.blocks) {
      q_start.push_back(q_start.back() + static_cast<int32_t>(block.q_length));
      k_start.push_back(static_cast<int32_t>(block.k_start));
      k_length.push_back(static_cast<int32_t>(block.k_length));
      page_start.push_back(static_cast<int32_t>(table.size()));
      table.insert(table.end(), block.pages.begin(), block.pages.end());
      if (spec.page_size > 0) table.push_back(kUnreadPage);
    }
    mask.q_start = keep(q_start, "q_start");
    mask.k_start = keep(k_start, "k_start");
    mask.k_length = keep(k_length, "k_length");
    if (spec.page_size == 0) return;
    mask.page_start = keep(page_start, "page_start");
    mask.page_table = keep(table, "page_table");
  }

  const int32_t* keep(const std::vector<int32_t>& values, const char* name) {
    arrays.push_back(Guarded<int32_t>::of(values, name));
    return arrays.back().data();
  }
};

}  // namespace

struct AttentionMemory::Storage {
  Heads query, key, value;
  MaskMemory mask;
  Guarded<float> float_bias;
  Guarded<uint8_t> bool_bias;
  Guarded<float> sink;

  explicit Storage(const AttentionProblem& p)
      : query(p, p.query, query_shape(p), "query"),
        key(p, p.key, key_shape(p), "key"),
        value(p, p.value, value_shape(p), "value"),
        mask(p.mask),
        float_bias(Guarded<float>::of(p.bias.values, "bias")),
        bool_bias(Guarded<uint8_t>::of(p.bias.values, "bias")),
        sink(Guarded<float>::of(p.sink, "sink")) {}
};

AttentionMemory::AttentionMemory(const AttentionProblem& p) : p_(p), storage_(new Storage(p_)) {
  args_.shape = p.shape;
  args_.query = storage_->query.view;
  args_.key = storage_->key.view;
  args_.value = storage_->value.view;
  args_.mask = storage_->mask.mask;
  args_.scale = p.scale;
  args_.softcap = p.softcap;
  if (!p.sink.empty()) args_.sink = storage_->sink.data();
  if (p.dropout > 0.0) {
    args_.dropout.threshold = static_cast<uint32_t>(p.dropout * 4294967296.0);
    args_.dropout.keep_scale = static_cast<float>(1.0 / (1.0 - p.dropout));
    args_.dropout.seed = p.dropout_seed;
  }
  if (p.bias.kind == BiasKind::kNone) return;
  const Shape& shape = p.bias.shape;
  const auto stride = [&](size_t axis) {
    int64_t elements = 1;
    for (size_t n = axis + 1; n < 4; n++) elements *= shape[n];
    return shape[axis] == 1 ? 0 : elements;
  };
  const void* data = storage_->float_bias.data();
  if (p.bias.kind == BiasKind::kBool) data = storage_->bool_bias.data();
  args_.bias = {p.bias.kind, data, stride(0), stride(1), stride(2), stride(3)};
}

AttentionMemory::~AttentionMemory() = default;

ForwardResult AttentionMemory::forward(const KernelTable& table, const Parallel& parallel) const {
  doing(std::string(table.name) + " attention_forward, " + describe(p_));
  const int64_t rows = p_.shape.batch * p_.shape.queries * p_.shape.heads;
  const int64_t columns = p_.shape.value_dim;
  const int64_t bytes = rows * row_elements(p_.output_dtype, columns) * element_bytes(p_.output_dtype);
  Guarded<uint8_t> output(bytes, kGarbageByte, "output");
  Guarded<float> log_sum_exp(rows, kGarbageByte, "log_sum_exp");
  Guarded<uint8_t> workspace(table.attention_forward_workspace(args_, parallel.workers), kGuardByte,
                             "forward workspace");
  table.attention_forward({args_, output.data(), p_.output_dtype, log_sum_exp.data(), workspace.data()},
                          parallel);
  return {loaded_rows(output.data(), rows, columns, p_.output_dtype, "output"), log_sum_exp.values()};
}

GradientResult AttentionMemory::backward(const KernelTable& table, const Parallel& parallel,
                                         const ForwardResult& forward) const {
  doing(std::string(table.name) + " attention_backward, " + describe(p_));
  const bool inputs = p_.wants_inputs;
  const bool bias = p_.wants_bias && p_.bias.kind == BiasKind::kFloat;
  const bool sink = p_.wants_sink && !p_.sink.empty();
  const auto room = [](bool wanted, const Shape& shape, const char* name) {
    return Guarded<float>(wanted ? size_of(shape) : 0, kGarbageByte, name);
  };
  Guarded<float> dquery = room(inputs, query_shape(p_), "dquery"), dkey = room(inputs, key_shape(p_), "dkey"),
                 dvalue = room(inputs, value_shape(p_), "dvalue"), dbias = room(bias, p_.bias.shape, "dbias"),
                 dsink = room(sink, {p_.shape.heads}, "dsink");
  const Guarded<float> doutput = Guarded<float>::of(p_.doutput, "doutput");
  const Guarded<uint8_t> output =
      Guarded<uint8_t>::of(stored_rows(forward.output, p_.shape.value_dim, p_.output_dtype), "output");
  const Guarded<float> log_sum_exp = Guarded<float>::of(forward.log_sum_exp, "log_sum_exp");
  const Guarded<float> dlog_sum_exp = Guarded<float>::of(p_.dlog_sum_exp, "dlog_sum_exp");
  AttentionBackwardArgs args;
  args.common = args_;
  args.doutput = doutput.data();
  args.output = output.data();
  args.output_dtype = p_.output_dtype;
  args.log_sum_exp = log_sum_exp.data();
  args.dlog_sum_exp = p_.dlog_sum_exp.empty() ? nullptr : dlog_sum_exp.data();
  args.dquery = inputs ? dquery.data() : nullptr;
  args.dkey = inputs ? dkey.data() : nullptr;
  args.dvalue = inputs ? dvalue.data() : nullptr;
  args.dbias = bias ? dbias.data() : nullptr;
  for (size_t axis = 0; axis < 4; axis++) args.dbias_shape[axis] = p_.bias.shape[axis];
  args.dsink = sink ? dsink.data() : nullptr;
  args.workspace = nullptr;
  Guarded<uint8_t> workspace(table.attention_backward_workspace(args, parallel.workers), kGuardByte,
                             "backward workspace");
  args.workspace = workspace.data();
  table.attention_backward(args, parallel);
  return {dquery.values(), dkey.values(), dvalue.values(), dbias.values(), dsink.values()};
}

std::vector<uint8_t> stored_rows(const std::vector<float>& values, int64_t columns, DType dtype) {
  const int64_t stride = row_elements(dtype, columns);
  const int64_t rows = columns == 0 ? 0 : static_cast<int64_t>(values.size()) / columns;
  std::vector<uint8_t> bytes(static_cast<size_t>(rows * stride * element_bytes(dtype)), kGuardByte);
  for (int64_t n = 0; n < rows * columns; n++) {
    put(bytes.data(), n / columns * stride + n % columns, values[static_cast<size_t>(n)], dtype);
  }
  return bytes;
}

std::vector<float> loaded_rows(const uint8_t* bytes, int64_t rows, int64_t columns, DType dtype,
                               const char* what) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  if (dtype == DType::kFloat32) {
    if (!values.empty()) memcpy(values.data(), bytes, values.size() * sizeof(float));
    return values;
  }
  const int64_t stride = row_elements(dtype, columns);
  for (int64_t n = 0; n < rows * stride; n++) {
    uint16_t bits;
    memcpy(&bits, bytes + n * 2, 2);
    const int64_t row = n / stride, column = n % stride;
    if (column < columns) {
      values[static_cast<size_t>(row * columns + column)] = widen_bfloat16(bits);
    } else if (bits != 0) {
      fail(format("%s: the padding of row %ld is 0x%04x, not 0", what, static_cast<long>(row), bits));
      return values;
    }
  }
  return values;
}

}  // namespace test
}  // namespace tfxf
