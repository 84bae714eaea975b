// SPDX-License-Identifier: Apache-2.0
/**
 * Compiling ahead. The calls themselves say which programs they need: they are made with tensors of
 * the right shapes while the dispatcher notes programs instead of running them. So this file knows
 * no kernel, and a new one is warmed up without a change here.
 *
 * The ops are handed over by `warmup`, not imported: they belong to the entry.
 */
import { Variable, backend, dispose, grads, tidy, zeros } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AttentionOptions, AttnBias, PackedAttentionOptions } from '../ops/attention_call.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import type { NormOptions } from '../spec/norm.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import type { FusedOp } from '../spec/support.js';
import { webgpuBackend } from './backend.js';
import { programsOf } from './dispatcher.js';
import { cacheKey, compileAhead } from './pipelines.js';
import type { Program } from './program.js';
import type { Ops } from './warmup.js';
import type { WarmupSpec } from './warmup_spec.js';

function callNorm(ops: Ops, op: FusedOp, inputs: FloatTensor[], options: NormOptions): FloatTensor {
  const [x, second, third, fourth] = inputs as [FloatTensor, FloatTensor, FloatTensor, FloatTensor];
  switch (op) {
    case 'fusedLayerNorm':
      return ops.fusedLayerNorm(x, second, third, options);
    case 'fusedRMSNorm':
      return ops.fusedRMSNorm(x, second, options);
    case 'fusedAddLayerNorm':
      return ops.fusedAddLayerNorm(x, second, third, fourth, options).output;
    default:
      return ops.fusedAddRMSNorm(x, second, third, options).output;
  }
}

function callAttention(
  ops: Ops,
  op: FusedOp,
  [query, key, value]: FloatTensor[],
  attnBias: AttnBias,
  options: AttentionOptions,
): FloatTensor {
  if (op === PACKED) {
    const packed = options as PackedAttentionOptions & PackedHeads;
    return ops.memoryEfficientAttentionPacked(query!, attnBias, packed);
  }
  if (op === 'memoryEfficientAttention') {
    return ops.memoryEfficientAttention(query!, key!, value!, attnBias, options);
  }
  return ops.memoryEfficientAttentionForward(query!, key!, value!, attnBias, options).output;
}

const PACKED = 'memoryEfficientAttentionPacked';

function isAttention(op: FusedOp): boolean {
  return op.startsWith('memoryEfficientAttention');
}

/** x and residual have the spec's dtype, gamma and beta that of the weights; so have q, k and v. */
function dtypeOf(spec: WarmupSpec, index: number): FloatDType {
  const three = isAttention(spec.op) && spec.op !== PACKED;
  const operands = three ? 3 : spec.op.startsWith('fusedAdd') ? 2 : 1;
  return (index < operands ? spec.dtype : spec.weightsDtype) ?? 'float32';
}

/** Learnable tensors among the rest of the arguments: their gradients have programs of their own. */
function variablesOf(ops: Ops, { attnBias, options }: WarmupSpec): Variable[] {
  const bias = ops.isAttentionBias(attnBias) ? attnBias.bias : attnBias;
  const sink = (options as AttentionOptions | undefined)?.sink;
  return [bias, sink].filter((tensor): tensor is Variable => tensor instanceof Variable);
}

/** Pages may be shared, so their gradients run as tfjs ops (kernels/…_grad.ts): nothing to compile. */
function hasFusedGradient(
  ops: Ops,
  { op, attnBias, options }: WarmupSpec,
  inputs: FloatTensor[],
): boolean {
  if (!ops.isAttentionBias(attnBias)) return true;
  const [query, key = query] = inputs;
  const rows = (options as AttentionOptions | undefined)?.layout === 'BHMK' ? 2 : 1;
  return attnBias.plan(query!.shape[rows]!, key!.shape[rows]!, op).pages === undefined;
}

export interface MadeCall {
  /** To be disposed. */
  tensors: Tensor[];
  /** Makes the call, and its gradient if asked; of a call that no fused kernel takes it does nothing. */
  run: () => void;
}

/** The call of a spec, with tensors of zeros. */
export function makeCall(ops: Ops, spec: WarmupSpec): MadeCall {
  const { op, attnBias, options = {} } = spec;
  const attention = isAttention(op);
  const shapes =
    attention && op !== PACKED && spec.shapes.length === 1
      ? [spec.shapes[0]!, spec.shapes[0]!, spec.shapes[0]!]
      : spec.shapes;
  const wide = shapes.map((shape) => zeros([...shape]));
  const make = () => {
    const cast = (x: Tensor, index: number): FloatTensor =>
      dtypeOf(spec, index) === 'bfloat16' ? ops.toBFloat16(x) : x;
    const call = (...tensors: Tensor[]): Tensor => {
      const inputs = tensors.slice(0, shapes.length).map(cast);
      const output = attention
        ? callAttention(ops, op, inputs, attnBias, options)
        : callNorm(ops, op, inputs, options);
      return ops.isBFloat16(output) ? ops.toFloat32(output) : output;
    };
    const inputs = wide.map(cast);
    if (ops.whyNotFused(op, inputs, attnBias, attention ? options : {}).length > 0) return;
    if (spec.gradient && (!attention || hasFusedGradient(ops, spec, inputs))) {
      grads(call)([...wide, ...variablesOf(ops, spec)]);
    } else {
      call(...wide);
    }
  };
  return { tensors: wide, run: () => tidy(make) };
}

/** Makes the call of a spec; the dispatcher notes what that needs. */
export function rehearse(ops: Ops, spec: WarmupSpec): void {
  const { tensors, run } = makeCall(ops, spec);
  try {
    run();
  } finally {
    dispose(tensors);
  }
}

/**
 * Compiles all that the calls of `specs` need; a call that no fused kernel takes needs nothing. The
 * backend must be `webgpu`.
 */
export async function compileCalls(ops: Ops, specs: readonly WarmupSpec[]): Promise<void> {
  const { device } = webgpuBackend(backend());
  const programs = new Map<string, Program>();
  for (const spec of specs) {
    for (const program of programsOf(() => rehearse(ops, spec))) {
      programs.set(cacheKey(program), program);
    }
  }
  await Promise.all([...programs.values()].map((program) => compileAhead(device, program)));
}
