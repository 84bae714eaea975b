// SPDX-License-Identifier: Apache-2.0
/**
 * The contract between ops and backends: the kernel names, what goes in and what comes out.
 *
 * tfjs forbids absent inputs in a named map, so kernels with optional inputs take an array, in the
 * order of their `…Inputs` interface with the absent ones left out; `packInputs` and `unpackInputs`
 * convert. A bfloat16 input or output is a *handle*: a TensorInfo that says float32 and the logical
 * shape while its data is packed (see bf16/storage.ts); attributes say which tensors are handles.
 */
import type { NamedTensorMap, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { OperandLayout } from './spec/attention_layout.js';
import type { FloatDType } from './spec/dtype.js';
import type { MaskPlan } from './spec/mask.js';

/** {x: float32} -> handle. */
export const BFloat16Pack = 'BFloat16Pack';
/** {x: handle} -> float32. */
export const BFloat16Unpack = 'BFloat16Unpack';
/** {x: handle}, {shape} -> handle on the same data; only where packedShape keeps the word order. */
export const BFloat16Reshape = 'BFloat16Reshape';
/** {x: handle} -> int32 tensor of packedShape, on the same data where the backend stores it packed. */
export const BFloat16Bits = 'BFloat16Bits';

export interface BFloat16ReshapeAttrs {
  shape: number[];
  /** Shape of x, so that the gradient need not save it. */
  xShape: number[];
}

/**
 * AppendRowsInputs -> [B, at least used - from + m, …]: rows `from` … `used` - 1 of target, then those of
 * `rows`, then rows that hold anything. It may be target's data, changed in place: no one else may read
 * target, before or after. How a key/value cache grows without copying itself at each step.
 */
export const AppendRows = 'AppendRows';
export interface AppendRowsInputs<T> {
  /** [B, m, …], m > 0 */
  rows: T;
  /** An earlier result, of the same B and … */
  target?: T | undefined;
}
export const APPEND_ROWS_INPUTS = ['rows', 'target'] as const;
export interface AppendRowsAttrs {
  /** Inputs that are present, in the order of APPEND_ROWS_INPUTS. */
  present: string[];
  /** Of both inputs and the output. */
  dtype: FloatDType;
  from: number;
  used: number;
  /** Rows of the output where it is made anew by a backend that writes in place; as many as needed elsewhere. */
  reserve: number;
}

/** NormInputs -> [output [...,C], stats float32 [rows, 2], sum float32 [...,C] if residual]. */
export const FusedNorm = 'FusedNorm';
export interface NormInputs<T> {
  x: T;
  residual?: T | undefined;
  gamma?: T | undefined;
  beta?: T | undefined;
}
export const NORM_INPUTS = ['x', 'residual', 'gamma', 'beta'] as const;

/** NormGradInputs -> [dx [...,C], dgamma [C] if gamma, dbeta [C] if beta], all float32. */
export const FusedNormGrad = 'FusedNormGrad';
export interface NormGradInputs<T> {
  /** Gradient of the output, float32. */
  dy: T;
  /** What was normed: x itself, or the float32 sum x + residual. */
  x: T;
  /** (mean, rstd) of each row; mean is 0 for RMS norm. */
  stats: T;
  gamma?: T | undefined;
  /** Gradient of the returned sum, float32; it is added to dx. */
  dsum?: T | undefined;
}
export const NORM_GRAD_INPUTS = ['dy', 'x', 'stats', 'gamma', 'dsum'] as const;

export interface NormAttrs {
  /** Inputs that are present, in the order of NORM_INPUTS. */
  present: string[];
  kind: 'layer' | 'rms';
  epsilon: number;
  /** Added to gamma: 1 for the zero-centred weights of Gemma. */
  weightOffset: number;
  xDtype: FloatDType;
  residualDtype: FloatDType;
  gammaDtype: FloatDType;
  betaDtype: FloatDType;
  outputDtype: FloatDType;
}
export interface NormGradAttrs {
  /** Inputs that are present, in the order of NORM_GRAD_INPUTS. */
  present: string[];
  kind: 'layer' | 'rms';
  weightOffset: number;
  xDtype: FloatDType;
  gammaDtype: FloatDType;
  /** Whether beta was there, so that dbeta is wanted. */
  hasBeta: boolean;
}

/**
 * AttentionInputs -> [output [B,Mq,H,V] (outputDtype), logSumExp float32 [B,H,Mq]]; shapes are those of the
 * layout BMHK, spec/attention_layout.ts has the others.
 */
export const MemoryEfficientAttention = 'MemoryEfficientAttention';
export interface AttentionInputs<T> {
  /** [B, Mq, H, K]; packed, the tensor of query, key and value, and the only operand that is passed. */
  query: T;
  /** [B, Mk, G, K], H % G == 0; packed, the tensor again, as unpackAttentionInputs gives it. */
  key: T;
  /** [B, Mk, G, V] */
  value: T;
  /** Rank 4, each axis 1 or that of [B, H, Mq, Mk]; float32 (added) or bool (true = visible). */
  bias?: T | undefined;
  /** float32 [H] */
  sink?: T | undefined;
}
export const ATTENTION_INPUTS = ['query', 'key', 'value', 'bias', 'sink'] as const;

/** AttentionGradInputs -> [dquery, dkey, dvalue], or [dpacked], float32, of the operands' shapes. */
export const MemoryEfficientAttentionGrad = 'MemoryEfficientAttentionGrad';
/** AttentionGradInputs (with bias) -> dbias, float32, of the shape of bias. */
export const MemoryEfficientAttentionBiasGrad = 'MemoryEfficientAttentionBiasGrad';
/** AttentionGradInputs (with sink) -> dsink, float32 [H]. */
export const MemoryEfficientAttentionSinkGrad = 'MemoryEfficientAttentionSinkGrad';
export interface AttentionGradInputs<T> extends AttentionInputs<T> {
  /** Gradient of the output, float32, of its shape. */
  doutput: T;
  /** The output itself, in outputDtype. */
  output: T;
  /** float32 [B, H, Mq] */
  logSumExp: T;
  /** Gradient of logSumExp, float32 [B, H, Mq]. */
  dlogSumExp?: T | undefined;
}
export const ATTENTION_GRAD_INPUTS = [
  'query',
  'key',
  'value',
  'bias',
  'sink',
  'doutput',
  'output',
  'logSumExp',
  'dlogSumExp',
] as const;

export interface AttentionAttrs {
  /** Inputs that are present, in the order of ATTENTION_INPUTS or ATTENTION_GRAD_INPUTS. */
  present: string[];
  plan: MaskPlan;
  scale: number;
  /** 0: off. Scores become softcap * tanh(score / softcap) before bias and mask. */
  softcap: number;
  /** Dropout probability; 0: off. */
  p: number;
  /** 32-bit unsigned. */
  seed: number;
  /** dtype of query, key and value. */
  dtype: FloatDType;
  outputDtype: FloatDType;
  /** 'float' is added to the scores, 'bool' hides the keys where it is false. */
  biasKind: 'none' | 'float' | 'bool';
  /** Whether the caller got logSumExp, so that a gradient may come through it. */
  returnsLogSumExp: boolean;
  layout: OperandLayout;
  /** G. */
  kvHeads: number;
}

/** Puts the inputs that are there into an array in the order of `names`. */
export function packInputs<T extends TensorInfo>(
  names: readonly string[],
  inputs: object,
): { present: string[]; list: T[] } {
  const byName = inputs as Record<string, T | undefined>;
  const present = names.filter((name) => byName[name] !== undefined);
  return { present, list: present.map((name) => byName[name]!) };
}

/** The reverse of packInputs. `I` is one of the …Inputs interfaces. */
export function unpackInputs<I>(present: readonly string[], list: unknown): I {
  const tensors = list as readonly unknown[];
  return Object.fromEntries(present.map((name, index) => [name, tensors[index]])) as I;
}

/** unpackInputs of an attention kernel. */
export function unpackAttentionInputs<I extends AttentionInputs<unknown>>(
  { present, layout }: Pick<AttentionAttrs, 'present' | 'layout'>,
  list: unknown,
): I {
  const inputs = unpackInputs<I>(present, list);
  return layout === 'packed' ? { ...inputs, key: inputs.query, value: inputs.query } : inputs;
}

/** tfjs types its kernels' inputs as named maps, yet takes arrays (as Concat's are). */
export function asNamedTensors(list: Tensor[]): NamedTensorMap {
  return list as unknown as NamedTensorMap;
}
