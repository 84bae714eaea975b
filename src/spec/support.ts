// SPDX-License-Identifier: Apache-2.0
/**
 * What runs where: on each backend an op has a fused kernel, or the same result from tfjs' own ops.
 * The README's support matrix is printed from this, and so are the reasons of a fall-back.
 */
import type { FloatDType } from './dtype.js';

/** Ops that have fused kernels, by their public names. */
export const FUSED_OPS = [
  'fusedLayerNorm',
  'fusedRMSNorm',
  'fusedAddLayerNorm',
  'fusedAddRMSNorm',
  'memoryEfficientAttention',
  'memoryEfficientAttentionForward',
  'memoryEfficientAttentionPacked',
] as const;
export type FusedOp = (typeof FUSED_OPS)[number];

/** Ops that are a few tfjs ops on every backend: they touch too little data to need a kernel. */
export const COMPOSED_OPS = ['mergeAttentions', 'rotaryEmbedding'] as const;

/** The backends that all ops work on. */
export const BACKENDS = ['webgpu', 'webgl', 'wasm', 'cpu', 'tensorflow'] as const;

/** The largest K and V that fused attention takes; a row of them has to fit in registers. */
export const MAX_FUSED_HEAD_DIM = 256;

/** What decides whether a call can be fused. */
export interface FusedRequest {
  op: FusedOp;
  dtype: FloatDType;
  /** Of attention only. */
  keyDim?: number;
  valueDim?: number;
}

/** Each reason why a backend cannot fuse a call, in a few words; empty if it can. */
export type FusedSupport = (request: FusedRequest) => string[];

/** Head dims beyond the limit, as reasons. */
export function headDimReasons(
  request: FusedRequest,
  limit: number = MAX_FUSED_HEAD_DIM,
): string[] {
  const dims: [string, number | undefined][] = [
    ['K', request.keyDim],
    ['V', request.valueDim],
  ];
  return dims
    .filter(([, size]) => size !== undefined && size > limit)
    .map(([name, size]) => `head dim ${name} is ${size}, and fused kernels take at most ${limit}`);
}

const fusedBackends = new Map<string, FusedSupport>([
  ['webgpu', (request) => headDimReasons(request)],
]);

/**
 * Tells that the kernels of this package are fused on a backend.
 *
 * @param backendName as in tf.setBackend.
 * @param supports the reasons why a call cannot be fused there.
 */
export function registerFusedBackend(
  backendName: string,
  supports: FusedSupport = (request) => headDimReasons(request),
): void {
  fusedBackends.set(backendName, supports);
}

/** Why a call runs as tfjs ops on a backend; empty if a fused kernel runs. */
export function fallbackReasons(backendName: string, request: FusedRequest): string[] {
  const supports = fusedBackends.get(backendName);
  if (supports) return supports(request);
  const fused = [...fusedBackends.keys()].map((name) => `'${name}'`).join(', ');
  return [`the backend '${backendName}' has no fused kernels here (these have: ${fused})`];
}

export type Support = 'fused' | 'tfjs ops';

/** One line of the support matrix. */
export interface SupportRow {
  op: string;
  backend: string;
  dtype: FloatDType;
  forward: Support;
  backward: Support;
}

/** Whether a call without peculiarities is fused on a backend, here and now. */
function isFusedHere(backend: string, op: FusedOp, dtype: FloatDType): boolean {
  return fallbackReasons(backend, { op, dtype }).length === 0;
}

/**
 * op x backend x dtype x forward/backward.
 *
 * @param isFused whether a backend has a fused kernel; by default what is so in this process.
 */
export function supportMatrix(
  isFused: (backend: string, op: FusedOp, dtype: FloatDType) => boolean = isFusedHere,
): SupportRow[] {
  const dtypes: FloatDType[] = ['float32', 'bfloat16'];
  const rows = <O extends string>(
    op: O,
    supportOn: (backend: string, op: O, dtype: FloatDType) => Support,
  ): SupportRow[] =>
    BACKENDS.flatMap((backend) =>
      dtypes.map((dtype) => {
        const support = supportOn(backend, op, dtype);
        return { op, backend, dtype, forward: support, backward: support };
      }),
    );
  return [
    ...FUSED_OPS.flatMap((op) => rows(op, (...cell) => (isFused(...cell) ? 'fused' : 'tfjs ops'))),
    ...COMPOSED_OPS.flatMap((op) => rows(op, () => 'tfjs ops')),
  ];
}
