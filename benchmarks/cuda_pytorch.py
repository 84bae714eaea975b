# SPDX-License-Identifier: Apache-2.0
"""PyTorch on the GPU, for scripts/cuda_check.sh: scaled_dot_product_attention with its flash and cuDNN backends,
layer_norm and rms_norm, on the cases of native/tests/cuda/cuda_bench.cc.

    python3 benchmarks/cuda_pytorch.py [part of a name]

Prints `name,peer,milliseconds,rate,unit` a line: medians of event times, random data. A backend that refuses a case is
left out, with its reason on stderr.
"""
import statistics
import sys
import warnings

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ROUNDS, WARM = 30, 3


def median_ms(call):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for n in range(-WARM, ROUNDS):
        begin.record()
        call()
        end.record()
        end.synchronize()
        if n >= 0:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def report(name, peer, ms, work, unit):
    print(f"{name},{peer},{ms:.4f},{work / ms:.1f},{unit}", flush=True)


def attention(part, batch, queries, keys, heads, kv_heads, dim, causal, dtype, backward):
    names = {torch.bfloat16: "bf16", torch.float32: "f32"}
    text = (f"B{batch} M{queries} N{keys} H{heads} G{kv_heads} D{dim} {'causal' if causal else 'full'} {names[dtype]}")
    if part not in f"attention forward {text}" and part not in f"attention backward {text}":
        return

    def draw(rows, count):
        # [B, M, H, D] in memory, as the kernels have it; PyTorch sees it transposed.
        return torch.randn(batch, rows, count, dim, device="cuda", dtype=dtype).transpose(1, 2).detach()

    q, k, v = draw(queries, heads), draw(keys, kv_heads), draw(keys, kv_heads)
    flops = 4 * batch * heads * queries * keys * dim * (0.5 if causal else 1) * 1e-9
    size = 2 * batch * keys * kv_heads * dim * q.element_size() * 1e-6
    peers = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    if dtype == torch.float32:
        peers = {"efficient": SDPBackend.EFFICIENT_ATTENTION}
    for peer, backend in peers.items():
        try:
            with sdpa_kernel(backend), warnings.catch_warnings():
                warnings.simplefilter("ignore")

                def forward(q=q, k=k, v=v):
                    return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=heads != kv_heads)

                with torch.no_grad():
                    ms = median_ms(forward)
                if queries <= 16:
                    report(f"attention forward {text}", peer, ms, size, "GB/s")
                else:
                    report(f"attention forward {text}", peer, ms, flops, "TFLOP/s")
                if not backward:
                    continue
                leaves = [x.clone().requires_grad_() for x in (q, k, v)]
                out = forward(*leaves)
                gradient = torch.randn_like(out)
                ms = median_ms(lambda: torch.autograd.grad(out, leaves, gradient, retain_graph=True))
                report(f"attention backward {text}", peer, ms, 2.5 * flops, "TFLOP/s")
        except RuntimeError as error:
            print(f"{peer} refuses {text}: {str(error).splitlines()[0]}", file=sys.stderr)


def norm(part, rms, rows, columns, dtype):
    text = f"{rows}x{columns} {'bf16' if dtype == torch.bfloat16 else 'f32'}"
    kind = "rms" if rms else "layer"
    if part not in f"{kind} norm forward {text}" and part not in f"{kind} norm backward {text}":
        return
    x = torch.randn(rows, columns, device="cuda", dtype=dtype)
    gamma, beta = (torch.randn(columns, device="cuda", dtype=dtype) for _ in range(2))

    def forward(x=x, gamma=gamma, beta=beta):
        if rms:
            return F.rms_norm(x, (columns,), gamma, 1e-5)
        return F.layer_norm(x, (columns,), gamma, beta, 1e-5)

    size = x.element_size()
    with torch.no_grad():
        report(f"{kind} norm forward {text}", "torch", median_ms(forward), 2 * rows * columns * size * 1e-6, "GB/s")
    leaves = [t.clone().requires_grad_() for t in ((x, gamma) if rms else (x, gamma, beta))]
    out = forward(*leaves)
    gradient = torch.randn_like(out)
    ms = median_ms(lambda: torch.autograd.grad(out, leaves, gradient, retain_graph=True))
    report(f"{kind} norm backward {text}", "torch", ms, 3 * rows * columns * size * 1e-6, "GB/s")


def copy(part):
    name = "copy 2 GiB"
    if part in name:
        x = torch.randn(1 << 28, device="cuda")
        y = torch.empty_like(x)
        report(name, "torch", median_ms(lambda: y.copy_(x)), 2 * x.numel() * 4 * 1e-6, "GB/s")


def main(part):
    copy(part)
    for dim in (64, 128):
        for causal in (False, True):
            for tokens in (2048, 4096, 8192, 16384, 32768):
                attention(part, 1, tokens, tokens, 64, 8, dim, causal, torch.bfloat16, tokens <= 16384)
            attention(part, 1, 4096, 4096, 16, 16, dim, causal, torch.float32, True)
    attention(part, 1, 4096, 4096, 16, 16, 256, True, torch.bfloat16, True)
    attention(part, 64, 1, 8192, 64, 8, 128, False, torch.bfloat16, False)
    attention(part, 1, 1, 8192, 64, 8, 128, False, torch.bfloat16, False)
    for rms in (False, True):
        norm(part, rms, 4194304, 128, torch.bfloat16)
        norm(part, rms, 131072, 4096, torch.bfloat16)
        norm(part, rms, 131072, 1024, torch.float32)
        norm(part, rms, 32768, 8192, torch.float32)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
