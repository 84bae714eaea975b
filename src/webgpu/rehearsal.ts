// SPDX-License-Identifier: Apache-2.0
/**
 * Compiling ahead. The calls themselves say which programs they need: they are made with tensors of
 * the right shapes while the dispatcher notes programs instead of running them. So this file knows
 * no kernel, and a new one is warmed up without a change here.
 */
import { Variable, backend, grads, tidy, zeros } from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isAttentionBias } from '../attn_bias/base.js';
import { isBFloat16 } from '../bf16/bfloat16_tensor.js';
import type { AttentionOptions, AttnBias, PackedAttentionOptions } from '../ops/attention_call.js';
import { toBFloat16, toFloat32 } from '../ops/bfloat16.js';
import { fusedAddLayerNorm, fusedAddRMSNorm } from '../ops/fused_add_norm.js';
import { fusedLayerNorm, fusedRMSNorm } from '../ops/fused_norm.js';
import {
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
} from '../ops/memory_efficient_attention.js';
import { whyNotFused } from '../ops/why_not_fused.js';
import type { FloatDType, FloatTensor } from '../spec/dtype.js';
import type { NormOptions } from '../spec/norm.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import type { FusedOp } from '../spec/support.js';
import { webgpuBackend } from './backend.js';
import { programsOf } from './dispatcher.js';
import { cacheKey, compileAhead } from './pipelines.js';
import type { Program } from './program.js';
import { OP } from './warmup_spec.js';
import type { WarmupSpec } from './warmup_spec.js';

function callNorm(op: FusedOp, inputs: FloatTensor[], options: NormOptions): FloatTensor {
  const [x, second, third, fourth] = inputs as [FloatTensor, FloatTensor, FloatTensor, FloatTensor];
  switch (op) {
    case 'fusedLayerNorm':
      return fusedLayerNorm(x, second, third, options);
    case 'fusedRMSNorm':
      return fusedRMSNorm(x, second, options);
    case 'fusedAddLayerNorm':
      return fusedAddLayerNorm(x, second, third, fourth, options).output;
    default:
      return fusedAddRMSNorm(x, second, third, options).output;
  }
}

function callAttention(
  op: FusedOp,
  [query, key, value]: FloatTensor[],
  attnBias: AttnBias,
  options: AttentionOptions,
): FloatTensor {
  if (op === PACKED) {
    const packed = options as PackedAttentionOptions & PackedHeads;
    return memoryEfficientAttentionPacked(query!, attnBias, packed);
  }
  if (op === 'memoryEfficientAttention') {
    return memoryEfficientAttention(query!, key!, value!, attnBias, options);
  }
  return memoryEfficientAttentionForward(query!, key!, value!, attnBias, options).output;
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
function variablesOf({ attnBias, options }: WarmupSpec): Variable[] {
  const bias = isAttentionBias(attnBias) ? attnBias.bias : attnBias;
  const sink = (options as AttentionOptions | undefined)?.sink;
  return [bias, sink].filter((tensor): tensor is Variable => tensor instanceof Variable);
}

/** Pages may be shared, so their gradients run as tfjs ops (kernels/…_grad.ts): nothing to compile. */
function hasFusedGradient({ attnBias, options }: WarmupSpec, inputs: FloatTensor[]): boolean {
  if (!isAttentionBias(attnBias)) return true;
  const [query, key = query] = inputs;
  const rows = (options as AttentionOptions | undefined)?.layout === 'BHMK' ? 2 : 1;
  return attnBias.plan(query!.shape[rows]!, key!.shape[rows]!, OP).pages === undefined;
}

/** Makes the call of a spec, and its gradient if asked; the dispatcher notes what that needs. */
function rehearse(spec: WarmupSpec): void {
  const { op, attnBias, options = {} } = spec;
  const attention = isAttention(op);
  const shapes =
    attention && op !== PACKED && spec.shapes.length === 1
      ? [spec.shapes[0]!, spec.shapes[0]!, spec.shapes[0]!]
      : spec.shapes;
  tidy(() => {
    const wide = shapes.map((shape) => zeros([...shape]));
    const cast = (x: Tensor, index: number): FloatTensor =>
      dtypeOf(spec, index) === 'bfloat16' ? toBFloat16(x) : x;
    const call = (...tensors: Tensor[]): Tensor => {
      const inputs = tensors.slice(0, shapes.length).map(cast);
      const output = attention
        ? callAttention(op, inputs, attnBias, options)
        : callNorm(op, inputs, options);
      return isBFloat16(output) ? toFloat32(output) : output;
    };
    const inputs = wide.map(cast);
    if (whyNotFused(op, inputs, attnBias, attention ? options : {}).length > 0) return;
    if (spec.gradient && (!attention || hasFusedGradient(spec, inputs))) {
      grads(call)([...wide, ...variablesOf(spec)]);
    } else {
      call(...wide);
    }
  });
}

/**
 * Compiles all that the calls of `specs` need; a call that no fused kernel takes needs nothing. The
 * backend must be `webgpu`.
 */
export async function compileCalls(specs: readonly WarmupSpec[]): Promise<void> {
  const { device } = webgpuBackend(backend());
  const programs = new Map<string, Program>();
  for (const spec of specs) {
    for (const program of programsOf(() => rehearse(spec))) {
      programs.set(cacheKey(program), program);
    }
  }
  await Promise.all([...programs.values()].map((program) => compileAhead(device, program)));
}
