// SPDX-License-Identifier: Apache-2.0
/** cuda_table.h: how long each tensor of a call is, and the calls. */
#include "tests/cuda/cuda_table.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cuda/launch.h"
#include "tests/cuda/device_buffer.h"
#include "tests/guarded.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

cuda::Device* chosen = nullptr;
bool runs = false;  // a call

/** The buffers of a call; results are brought back at its end. */
class Call {
 public:
  template <typename T>
  T* in(const T* host, int64_t bytes, const char* name) {
    buffers_.emplace_back(new DeviceBuffer(*chosen, host, bytes, name));
    return static_cast<T*>(buffers_.back()->data());
  }
  template <typename T>
  T* out(T* host, int64_t bytes, const char* name) {
    T* device = in(static_cast<const T*>(host), bytes, name);
    if (host != nullptr) results_.push_back({host, buffers_.back().get()});
    return device;
  }
  /**
   * Runs body(error) where the device is current, and brings the results. A call in which the program crashed has left
   * the device locked: the program ends at the next one.
   */
  template <typename Body>
  void run(const Body& body) {
    if (runs) {
      fprintf(stderr, "there was a crash in a call: no other can follow it\n");
      exit(1);
    }
    runs = true;
    cuda::Error error;
    {
      const cuda::DeviceScope scope(*chosen, error);
      if (scope.ok()) body(error);
    }
    runs = false;
    if (error.failed) fail(error.text);
    for (const Result& result : results_) result.buffer->bring(result.host);
  }

 private:
  struct Result {
    void* host;
    DeviceBuffer* buffer;
  };
  std::vector<std::unique_ptr<DeviceBuffer>> buffers_;
  std::vector<Result> results_;
};

int64_t heads_bytes(const HeadsView& view, int64_t batch, int64_t rows, int64_t heads, int64_t dim) {
  if (batch * rows * heads == 0) return 0;
  const int64_t last = (batch - 1) * view.batch_stride + (rows - 1) * view.row_stride + (heads - 1) * view.head_stride;
  return (last + row_elements(view.dtype, dim)) * element_bytes(view.dtype);
}

int64_t stored_bytes(DType dtype, int64_t rows, int64_t columns) {
  return rows * row_elements(dtype, columns) * element_bytes(dtype);
}

RowsView rows_in(Call& call, const RowsView& view, int64_t rows, int64_t columns, const char* name) {
  return {call.in(view.data, stored_bytes(view.dtype, rows, columns), name), view.dtype};
}

/** With all inputs on the device; the mask's lists stay. */
AttentionArgs attention_in(Call& call, const AttentionArgs& host) {
  AttentionArgs args = host;
  const AttentionShape& s = host.shape;
  args.query.data = call.in(host.query.data, heads_bytes(host.query, s.batch, s.queries, s.heads, s.key_dim), "query");
  args.key.data = call.in(host.key.data, heads_bytes(host.key, s.batch, s.keys, s.kv_heads, s.key_dim), "key");
  args.value.data = call.in(host.value.data, heads_bytes(host.value, s.batch, s.keys, s.kv_heads, s.value_dim), "value");
  const BiasView& bias = host.bias;
  const int64_t last = (s.batch - 1) * bias.b + (s.heads - 1) * bias.h + (s.queries - 1) * bias.i + (s.keys - 1) * bias.j;
  const bool some = s.batch * s.queries * s.keys > 0;
  args.bias.data = call.in(bias.data, some ? (last + 1) * (bias.kind == BiasKind::kFloat ? 4 : 1) : 0, "bias");
  args.sink = call.in(host.sink, s.heads * 4, "sink");
  return args;
}

int64_t forward_workspace(const AttentionArgs& args, int) { return cuda::attention_forward_workspace(*chosen, args); }

void forward(const AttentionForwardArgs& host, const Parallel&) {
  Call call;
  const AttentionShape& s = host.common.shape;
  const int64_t rows = s.batch * s.queries * s.heads;
  AttentionForwardArgs args = host;
  args.common = attention_in(call, host.common);
  args.output = call.out(host.output, stored_bytes(host.output_dtype, rows, s.value_dim), "output");
  args.log_sum_exp = call.out(host.log_sum_exp, rows * 4, "log_sum_exp");
  args.workspace = call.in(host.workspace, forward_workspace(host.common, 1), "workspace");
  call.run([&](cuda::Error& error) { cuda::attention_forward(*chosen, args, error); });
}

int64_t backward_workspace(const AttentionBackwardArgs& args, int) { return cuda::attention_backward_workspace(args); }

void backward(const AttentionBackwardArgs& host, const Parallel&) {
  Call call;
  const AttentionShape& s = host.common.shape;
  const int64_t rows = s.batch * s.queries * s.heads, keys = s.batch * s.keys * s.kv_heads;
  AttentionBackwardArgs args = host;
  args.common = attention_in(call, host.common);
  args.doutput = call.in(host.doutput, rows * s.value_dim * 4, "doutput");
  args.output = call.in(host.output, stored_bytes(host.output_dtype, rows, s.value_dim), "output");
  args.log_sum_exp = call.in(host.log_sum_exp, rows * 4, "log_sum_exp");
  args.dlog_sum_exp = call.in(host.dlog_sum_exp, rows * 4, "dlog_sum_exp");
  args.dquery = call.out(host.dquery, rows * s.key_dim * 4, "dquery");
  args.dkey = call.out(host.dkey, keys * s.key_dim * 4, "dkey");
  args.dvalue = call.out(host.dvalue, keys * s.value_dim * 4, "dvalue");
  const int64_t* b = host.dbias_shape;
  args.dbias = call.out(host.dbias, host.dbias != nullptr ? b[0] * b[1] * b[2] * b[3] * 4 : 0, "dbias");
  args.dsink = call.out(host.dsink, s.heads * 4, "dsink");
  args.workspace = call.in(host.workspace, cuda::attention_backward_workspace(host), "workspace");
  call.run([&](cuda::Error& error) { cuda::attention_backward(*chosen, args, error); });
}

void norm(const NormForwardArgs& host, const Parallel&) {
  Call call;
  NormForwardArgs args = host;
  const int64_t rows = host.rows, columns = host.columns;
  args.x = rows_in(call, host.x, rows, columns, "x");
  args.residual = rows_in(call, host.residual, rows, columns, "residual");
  args.gamma = rows_in(call, host.gamma, 1, columns, "gamma");
  args.beta = rows_in(call, host.beta, 1, columns, "beta");
  args.output = call.out(host.output, stored_bytes(host.output_dtype, rows, columns), "output");
  args.stats = call.out(host.stats, rows * 8, "stats");
  args.sum = call.out(host.sum, rows * columns * 4, "sum");
  call.run([&](cuda::Error& error) { cuda::norm_forward(*chosen, args, error); });
}

void norm_gradients(const NormBackwardArgs& host, const Parallel&) {
  Call call;
  NormBackwardArgs args = host;
  const int64_t rows = host.rows, columns = host.columns, bytes = rows * columns * 4;
  args.x = rows_in(call, host.x, rows, columns, "x");
  args.gamma = rows_in(call, host.gamma, 1, columns, "gamma");
  args.dy = call.in(host.dy, bytes, "dy");
  args.stats = call.in(host.stats, rows * 8, "stats");
  args.dsum = call.in(host.dsum, bytes, "dsum");
  args.dx = call.out(host.dx, bytes, "dx");
  args.dgamma = call.out(host.dgamma, columns * 4, "dgamma");
  args.dbeta = call.out(host.dbeta, columns * 4, "dbeta");
  // The tests' workspace is as large as the CPU kernels ask for.
  Guarded<uint8_t> workspace(cuda::norm_backward_workspace(host), kGuardByte, "workspace");
  args.workspace = call.in(static_cast<void*>(workspace.data()), workspace.size(), "workspace");
  call.run([&](cuda::Error& error) { cuda::norm_backward(*chosen, args, error); });
}

void convert(const ConvertArgs& host, int64_t x_bytes, int64_t y_bytes,
             bool (*kernel)(cuda::Device&, const ConvertArgs&, cuda::Error&)) {
  Call call;
  ConvertArgs args = host;
  args.x = call.in(host.x, x_bytes, "x");
  args.y = call.out(host.y, y_bytes, "y");
  call.run([&](cuda::Error& error) { kernel(*chosen, args, error); });
}

void pack(const ConvertArgs& host, const Parallel&) {
  convert(host, host.rows * host.columns * 4, stored_bytes(DType::kBFloat16, host.rows, host.columns),
          cuda::pack_bfloat16);
}
void unpack(const ConvertArgs& host, const Parallel&) {
  convert(host, stored_bytes(DType::kBFloat16, host.rows, host.columns), host.rows * host.columns * 4,
          cuda::unpack_bfloat16);
}

}  // namespace

const KernelTable& cuda_table(cuda::Device& device) {
  chosen = &device;
  static const KernelTable table = {"cuda",  norm,    norm_gradients,     pack,    unpack, forward_workspace,
                                    forward, backward_workspace, backward};
  return table;
}

}  // namespace test
}  // namespace tfxf
