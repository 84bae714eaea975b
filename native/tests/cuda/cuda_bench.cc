// SPDX-License-Identifier: Apache-2.0
/**
 * Times the CUDA kernels on a GPU: cuda_bench [part of a name]. One line a case:
 *
 *     name,milliseconds,rate,unit        (median of event times; TFLOP/s of the products, or GB/s of least traffic)
 *
 * Data is random: zeros run faster. Norms and decoding go through tensors larger than the L2 cache. The names are those
 * of benchmarks/cuda_pytorch.py, which measures PyTorch on the same GPU. TFXF_LIBCUDA, TFXF_CUDA_DEVICE and TFXF_NO_WGMMA
 * (attention by mma.sync where warpgroups would serve) as in cuda_device.cc; on the stand-in only TFXF_BENCH_TINY=1 makes
 * sense, which shows that the cases run and measures nothing.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cuda/launch.h"
#include "tests/cuda/cuda_table.h"
#include "tests/random.h"

namespace tfxf {
namespace test {
namespace {

using cuda::CuAddress;

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

struct Bench {
  cuda::Device& device = test_device();
  const cuda::DriverApi& api = device.driver->api;
  bool tiny = getenv("TFXF_BENCH_TINY") != nullptr;
  std::string filter;
  std::vector<CuAddress> memory;
  std::vector<uint32_t> words;  // of random bfloat16 pairs; as float32 they are random, too

  void check(cuda::CuResult result, const char* what) const {
    cuda::Error error;
    if (!device.driver->check(result, what, error)) die(error.text);
  }

  /** Device memory with random numbers of about 1 in size. */
  template <typename T>
  T* random(int64_t count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    CuAddress address = 0;
    check(api.MemAlloc(&address, bytes + 256), "cuMemAlloc");
    memory.push_back(address);
    for (size_t done = 0; done < bytes; done += words.size() * 4) {
      const size_t part = std::min(bytes - done, words.size() * 4);
      check(api.MemcpyHtoDAsync(address + done, words.data(), part, device.stream), "cuMemcpyHtoDAsync");
    }
    return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
  }
  void free_all() {
    check(api.StreamSynchronize(device.stream), "cuStreamSynchronize");
    for (const CuAddress address : memory) check(api.MemFree(address), "cuMemFree");
    memory.clear();
  }

  /** Median milliseconds of a call. */
  double time(const std::function<bool(cuda::Error&)>& call) const {
    cuda::Error error;
    cuda::CuEvent begin, end;
    check(api.EventCreate(&begin, 0), "cuEventCreate");
    check(api.EventCreate(&end, 0), "cuEventCreate");
    const int rounds = tiny ? 1 : 30;
    std::vector<double> times;
    for (int round = -3; round < rounds; round++) {
      check(api.EventRecord(begin, device.stream), "cuEventRecord");
      if (!call(error)) die(error.text);
      check(api.EventRecord(end, device.stream), "cuEventRecord");
      check(api.EventSynchronize(end), "cuEventSynchronize");
      float milliseconds = 0.0f;
      check(api.EventElapsedTime(&milliseconds, begin, end), "cuEventElapsedTime");
      if (round >= 0) times.push_back(static_cast<double>(milliseconds));
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  bool wants(const std::string& name) const { return name.find(filter) != std::string::npos; }
  void report(const std::string& name, double milliseconds, double work, const char* unit) const {
    printf("%s,%.4f,%.1f,%s\n", name.c_str(), milliseconds, work / milliseconds, unit);
    fflush(stdout);
  }
};

/** [B, M, H, D] of a call: names as in cuda_pytorch.py. */
struct AttentionCase {
  int64_t batch, queries, keys, heads, kv_heads, dim;
  bool causal;
  DType dtype;

  std::string text() const {
    char line[160];
    snprintf(line, sizeof line, "B%lld M%lld N%lld H%lld G%lld D%lld %s %s", static_cast<long long>(batch),
             static_cast<long long>(queries), static_cast<long long>(keys), static_cast<long long>(heads),
             static_cast<long long>(kv_heads), static_cast<long long>(dim), causal ? "causal" : "full",
             dtype == DType::kBFloat16 ? "bf16" : "f32");
    return line;
  }
};

template <typename T>
HeadsView random_heads(Bench& bench, int64_t batch, int64_t rows, int64_t heads, int64_t dim, DType dtype) {
  return contiguous_heads(bench.random<T>(batch * rows * heads * dim), dtype, rows, heads, dim);
}

template <typename T>
AttentionForwardArgs forward_args(Bench& bench, const AttentionCase& c) {
  AttentionForwardArgs args = {};
  args.common.shape = {c.batch, c.queries, c.keys, c.heads, c.kv_heads, c.dim, c.dim};
  args.common.query = random_heads<T>(bench, c.batch, c.queries, c.heads, c.dim, c.dtype);
  args.common.key = random_heads<T>(bench, c.batch, c.keys, c.kv_heads, c.dim, c.dtype);
  args.common.value = random_heads<T>(bench, c.batch, c.keys, c.kv_heads, c.dim, c.dtype);
  args.common.scale = 1.0f / __builtin_sqrtf(static_cast<float>(c.dim));
  if (c.causal) args.common.mask.window_right = 0;
  args.output = bench.random<T>(c.batch * c.queries * c.heads * c.dim);
  args.output_dtype = c.dtype;
  args.log_sum_exp = bench.random<float>(c.batch * c.heads * c.queries);
  args.workspace = bench.random<char>(cuda::attention_forward_workspace(bench.device, args.common));
  return args;
}

template <typename T>
void run_attention(Bench& bench, AttentionCase c, bool backward) {
  const std::string forward_name = "attention forward " + c.text(), backward_name = "attention backward " + c.text();
  if (!bench.wants(forward_name) && !(backward && bench.wants(backward_name))) return;
  if (bench.tiny) c.queries = std::min<int64_t>(c.queries, 40), c.keys = 70, c.heads = c.kv_heads = c.batch = 1;
  const AttentionForwardArgs args = forward_args<T>(bench, c);
  const double cells = static_cast<double>(c.batch * c.heads * c.queries) * static_cast<double>(c.keys);
  const double flops = 4.0 * cells * static_cast<double>(c.dim) * (c.causal ? 0.5 : 1.0);
  const double took =
      bench.time([&](cuda::Error& error) { return cuda::attention_forward(bench.device, args, error); });
  if (c.queries <= 16) {
    const double bytes = 2.0 * static_cast<double>(c.batch * c.keys * c.kv_heads * c.dim) * sizeof(T);
    bench.report(forward_name, took, bytes * 1e-6, "GB/s");
  } else {
    bench.report(forward_name, took, flops * 1e-9, "TFLOP/s");
  }
  if (backward && bench.wants(backward_name)) {
    const int64_t rows = c.batch * c.queries * c.heads, keys = c.batch * c.keys * c.kv_heads;
    AttentionBackwardArgs gradient = {};
    gradient.common = args.common;
    gradient.doutput = bench.random<float>(rows * c.dim);
    gradient.output = args.output;
    gradient.output_dtype = c.dtype;
    gradient.log_sum_exp = args.log_sum_exp;
    gradient.dquery = bench.random<float>(rows * c.dim);
    gradient.dkey = bench.random<float>(keys * c.dim);
    gradient.dvalue = bench.random<float>(keys * c.dim);
    gradient.workspace = bench.random<char>(cuda::attention_backward_workspace(gradient));
    const double back =
        bench.time([&](cuda::Error& error) { return cuda::attention_backward(bench.device, gradient, error); });
    bench.report(backward_name, back, 2.5 * flops * 1e-9, "TFLOP/s");
  }
  bench.free_all();
}

template <typename T>
void run_norm(Bench& bench, bool rms, int64_t rows, int64_t columns, DType dtype) {
  char text[160];
  snprintf(text, sizeof text, "%s norm %%s %lldx%lld %s", rms ? "rms" : "layer", static_cast<long long>(rows),
           static_cast<long long>(columns), dtype == DType::kBFloat16 ? "bf16" : "f32");
  char forward[200], backward[200];
  snprintf(forward, sizeof forward, text, "forward");
  snprintf(backward, sizeof backward, text, "backward");
  if (!bench.wants(forward) && !bench.wants(backward)) return;
  if (bench.tiny) rows = 40;
  NormForwardArgs args = {};
  args.rows = rows;
  args.columns = columns;
  args.rms = rms;
  args.epsilon = 1e-5f;
  args.x = {bench.random<T>(rows * columns), dtype};
  args.gamma = {bench.random<float>(columns), DType::kFloat32};
  if (!rms) args.beta = {bench.random<float>(columns), DType::kFloat32};
  args.output = bench.random<T>(rows * columns);
  args.output_dtype = dtype;
  args.stats = bench.random<float>(2 * rows);
  const double elements = static_cast<double>(rows) * static_cast<double>(columns);
  const double took = bench.time([&](cuda::Error& error) { return cuda::norm_forward(bench.device, args, error); });
  bench.report(forward, took, 2.0 * elements * sizeof(T) * 1e-6, "GB/s");
  NormBackwardArgs gradient = {};
  gradient.rows = rows;
  gradient.columns = columns;
  gradient.rms = rms;
  gradient.dy = bench.random<float>(rows * columns);
  gradient.x = args.x;
  gradient.gamma = args.gamma;
  gradient.stats = args.stats;
  gradient.dx = bench.random<float>(rows * columns);
  gradient.dgamma = bench.random<float>(columns);
  if (!rms) gradient.dbeta = bench.random<float>(columns);
  gradient.workspace = bench.random<char>(cuda::norm_backward_workspace(gradient));
  const double back = bench.time([&](cuda::Error& error) { return cuda::norm_backward(bench.device, gradient, error); });
  bench.report(backward, back, elements * (8.0 + sizeof(T)) * 1e-6, "GB/s");
  bench.free_all();
}

void run_all(Bench& bench) {
  for (const int64_t dim : {64, 128}) {
    for (const bool causal : {false, true}) {
      for (const int64_t tokens : {2048, 4096, 8192, 16384, 32768}) {
        run_attention<uint16_t>(bench, {1, tokens, tokens, 64, 8, dim, causal, DType::kBFloat16}, tokens <= 16384);
      }
      run_attention<float>(bench, {1, 4096, 4096, 16, 16, dim, causal, DType::kFloat32}, true);
    }
  }
  run_attention<uint16_t>(bench, {1, 4096, 4096, 16, 16, 256, true, DType::kBFloat16}, true);
  run_attention<uint16_t>(bench, {64, 1, 8192, 64, 8, 128, false, DType::kBFloat16}, false);
  run_attention<uint16_t>(bench, {1, 1, 8192, 64, 8, 128, false, DType::kBFloat16}, false);
  for (const bool rms : {false, true}) {
    run_norm<uint16_t>(bench, rms, 4194304, 128, DType::kBFloat16);
    run_norm<uint16_t>(bench, rms, 131072, 4096, DType::kBFloat16);
    run_norm<float>(bench, rms, 131072, 1024, DType::kFloat32);
    run_norm<float>(bench, rms, 32768, 8192, DType::kFloat32);
  }
}

}  // namespace
}  // namespace test
}  // namespace tfxf

int main(int count, char** arguments) {
  using namespace tfxf;
  test::Bench bench;
  if (count > 1) bench.filter = arguments[1];
  test::Random random(1);
  bench.words.resize(1 << 22);
  // Two bfloat16 of either sign, 0.25 to 2 in size.
  for (uint32_t& word : bench.words) word = 0x3e803e80u + (static_cast<uint32_t>(random.word()) & 0x817f817fu);
  cuda::Error error;
  const cuda::DeviceScope scope(bench.device, error);
  if (!scope.ok()) test::die(error.text);
  test::run_all(bench);
  return 0;
}
