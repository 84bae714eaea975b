# SPDX-License-Identifier: Apache-2.0
"""
PyTorch on the CPU, as one provider of benchmarks/native.ts.

Reads one JSON command a line from standard input and answers with one JSON line (protocol.ts says which). The
files of a case hold raw float32 in the layout of tfjs-xformers, [B, M, H, D]; PyTorch gets its best one,
contiguous [B, H, M, D], before any timing. Between commands the process sleeps in a blocking read.
"""
import json
import resource
import sys
import time

try:
    import numpy
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    sys.exit(f"{sys.executable}: {missing}")

EPSILON = 1e-5


def read(case, name, shape):
    values = numpy.fromfile(case["inputs"][name], dtype=numpy.float32).reshape(shape)
    return torch.from_numpy(values)


def storage(case):
    return torch.bfloat16 if case["dtype"] == "bfloat16" else torch.float32


class Attention:
    """scaled_dot_product_attention, and its gradients where the case wants them."""

    def __init__(self, case):
        q = (case["batch"], case["queries"], case["heads"], case["dim"])
        kv = (case["batch"], case["keys"], case["kvHeads"], case["dim"])
        self.trains = case["mode"] != "forward"
        self.query, self.key, self.value = (
            self.load(case, name, shape).requires_grad_(self.trains)
            for name, shape in (("query", q), ("key", kv), ("value", kv))
        )
        self.doutput = self.load(case, "doutput", q) if self.trains else None
        self.options = {
            "is_causal": case["causal"] and case["queries"] > 1,
            "enable_gqa": case["heads"] != case["kvHeads"],
        }

    @staticmethod
    def load(case, name, shape):
        return read(case, name, shape).transpose(1, 2).contiguous().to(storage(case))

    def run(self):
        if not self.trains:
            with torch.no_grad():
                return (self.attend(),)
        leaves = (self.query, self.key, self.value)
        output = self.attend()
        return (output, *torch.autograd.grad(output, leaves, self.doutput))

    def attend(self):
        return F.scaled_dot_product_attention(self.query, self.key, self.value, **self.options)

    def outputs(self):
        names = ("output", "dquery", "dkey", "dvalue")
        return {name: x.transpose(1, 2) for name, x in zip(names, self.run())}


class Norm:
    """layer_norm and rms_norm over the last axis; weights stay float32 where PyTorch mixes dtypes."""

    def __init__(self, case):
        shape = (case["rows"], case["columns"])
        self.rms = case["op"] == "rms norm"
        self.trains = case["mode"] != "forward"
        weights = storage(case) if self.rms else torch.float32
        self.x = read(case, "x", shape).to(storage(case)).requires_grad_(self.trains)
        self.gamma = read(case, "gamma", shape[1:]).to(weights).requires_grad_(self.trains)
        self.beta = read(case, "beta", shape[1:]).to(weights).requires_grad_(self.trains)
        self.dy = read(case, "dy", shape).to(storage(case)) if self.trains else None

    def run(self):
        if not self.trains:
            with torch.no_grad():
                return (self.norm(),)
        leaves = (self.x, self.gamma) if self.rms else (self.x, self.gamma, self.beta)
        output = self.norm()
        return (output, *torch.autograd.grad(output, leaves, self.dy))

    def norm(self):
        shape = self.x.shape[1:]
        if self.rms:
            return F.rms_norm(self.x, shape, self.gamma, EPSILON)
        return F.layer_norm(self.x, shape, self.gamma, self.beta, EPSILON)

    def outputs(self):
        return dict(zip(("output", "dx", "dgamma", "dbeta"), self.run()))


class Pack:
    """float32 to bfloat16."""

    def __init__(self, case):
        self.x = read(case, "x", (case["rows"], case["columns"]))

    def run(self):
        return self.x.to(torch.bfloat16)

    def outputs(self):
        return {"output": self.run()}


class MatMul:
    """One large matrix product: what the cores reach in practice."""

    def __init__(self, case):
        shape = (case["rows"], case["columns"])
        self.a, self.b = (read(case, name, shape).to(storage(case)) for name in ("a", "b"))

    def run(self):
        return torch.mm(self.a, self.b)

    def outputs(self):
        return {"output": self.run()}


OPS = {
    "attention": Attention,
    "decoding": Attention,
    "layer norm": Norm,
    "rms norm": Norm,
    "bf16 pack": Pack,
    "matmul": MatMul,
}


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Worker:
    def __init__(self):
        self.work = None

    def hello(self, command):
        torch.set_num_threads(command["threads"])
        return {"versions": {"PyTorch": torch.__version__}}

    def prepare(self, command):
        case = command["case"]
        if case["op"] not in OPS:
            return {"unsupported": f"no {case['op']}"}
        self.work = OPS[case["op"]](case)
        return {}

    def outputs(self, command):
        for name, x in self.work.outputs().items():
            x.detach().to(torch.float32).contiguous().numpy().tofile(command["files"][name])
        return {}

    def time(self, command):
        times = []
        faults = page_faults()
        end = time.perf_counter() + command["seconds"]
        while True:
            start = time.perf_counter()
            self.work.run()
            stop = time.perf_counter()
            times.append(stop - start)
            if stop >= end:
                return {"times": times, "faults": (page_faults() - faults) / len(times)}

    def release(self, _command):
        self.work = None
        return {}


def main():
    worker = Worker()
    replies = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        command = json.loads(line)
        try:
            reply = getattr(worker, command["command"])(command)
        except Exception as error:  # the run goes on with the other providers
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


main()
