// SPDX-License-Identifier: Apache-2.0
/** How a call is described to `warmup` and `autotune`. */
import { checkChoice, checkOptions } from '../ops/arguments.js';
import type { AttentionOptions, AttnBias, PackedAttentionOptions } from '../ops/attention_call.js';
import type { FloatDType } from '../spec/dtype.js';
import { checkFlag, describe, rangeError, typeError } from '../spec/errors.js';
import type { NormOptions } from '../spec/norm.js';
import type { PackedHeads } from '../spec/packed_attention.js';
import { FUSED_OPS } from '../spec/support.js';
import type { FusedOp } from '../spec/support.js';

/** A call to come: what the op takes, with shapes in place of tensors. */
export interface WarmupSpec {
  op: FusedOp;
  /**
   * Shapes of the op's tensors in the order of its arguments: [query, key, value], or [query] if all
   * three are alike; [qkv]; [x, gamma, beta]; [x, residual, gamma, beta]. Absent gamma and beta are left
   * out at the end.
   */
  shapes: readonly (readonly number[])[];
  /** dtype of query, key and value, or of x and residual. 'float32' */
  dtype?: FloatDType | undefined;
  /** dtype of gamma and beta. 'float32' */
  weightsDtype?: FloatDType | undefined;
  /** Of attention, as in the call. */
  attnBias?: AttnBias;
  /** As in the call. */
  options?: AttentionOptions | (PackedAttentionOptions & PackedHeads) | NormOptions | undefined;
  /** Whether the backward pass is compiled too. false */
  gradient?: boolean | undefined;
}

export const OP = 'warmup';

const FIELDS: readonly (keyof WarmupSpec)[] = [
  'op',
  'shapes',
  'dtype',
  'weightsDtype',
  'attnBias',
  'options',
  'gradient',
];

/** How many shapes each op takes. */
const COUNTS: Record<FusedOp, readonly number[]> = {
  fusedLayerNorm: [1, 2, 3],
  fusedRMSNorm: [1, 2],
  fusedAddLayerNorm: [2, 3, 4],
  fusedAddRMSNorm: [2, 3],
  memoryEfficientAttention: [1, 3],
  memoryEfficientAttentionForward: [1, 3],
  memoryEfficientAttentionPacked: [1],
};

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isInteger(size) && size >= 0);
}

function checkShapes(caller: string, where: string, op: FusedOp, shapes: unknown): void {
  if (!Array.isArray(shapes) || !shapes.every(isShape)) {
    throw typeError({
      op: caller,
      argument: `${where}.shapes`,
      expected: 'an array of shapes',
      got: describe(shapes),
      mend: 'Give for example [[1, 512, 8, 64]] for query, key and value alike.',
    });
  }
  if (!COUNTS[op].includes(shapes.length)) {
    throw rangeError({
      op: caller,
      argument: `${where}.shapes`,
      expected: `of ${COUNTS[op].join(' or ')} shapes for ${op}`,
      got: String(shapes.length),
      mend: "Give one shape for each of the op's tensors, in the order of its arguments.",
    });
  }
}

function checkSpec(caller: string, where: string, spec: unknown): asserts spec is WarmupSpec {
  if (spec === null || typeof spec !== 'object' || Array.isArray(spec)) {
    throw typeError({
      op: caller,
      argument: where,
      expected: 'an object with op and shapes',
      got: describe(spec),
      mend: "Give for example { op: 'memoryEfficientAttention', shapes: [[1, 512, 8, 64]] }.",
    });
  }
  checkOptions(`${caller} ${where}`, spec, FIELDS);
  const { op, shapes, dtype, weightsDtype, gradient, options } = spec as Partial<WarmupSpec>;
  if (op === undefined || !FUSED_OPS.includes(op)) {
    throw typeError({
      op: caller,
      argument: `${where}.op`,
      expected: `one of ${FUSED_OPS.join(', ')}`,
      got: describe(op),
      mend: 'Check its spelling; other ops have nothing to compile.',
    });
  }
  checkShapes(caller, where, op, shapes);
  for (const [name, value] of Object.entries({ dtype, weightsDtype })) {
    const mend = 'Leave it out for float32.';
    checkChoice(caller, `${where}.${name}`, value, ['float32', 'bfloat16'], mend);
  }
  const mend = 'Leave it out to compile the forward pass alone.';
  checkFlag(caller, `${where}.gradient`, gradient, mend);
  if (options !== undefined && (options === null || typeof options !== 'object')) {
    throw typeError({
      op: caller,
      argument: `${where}.options`,
      expected: 'an object',
      got: describe(options),
      mend: 'Give the options of the call to come, or leave it out.',
    });
  }
}

/** Throws unless all specs are well-formed; what the ops themselves check is left to them. */
export function checkSpecs(specs: unknown, caller: string): asserts specs is WarmupSpec[] {
  if (!Array.isArray(specs)) {
    throw typeError({
      op: caller,
      argument: 'specs',
      expected: 'an array',
      got: describe(specs),
      mend: "Give for example [{ op: 'fusedLayerNorm', shapes: [[64, 256], [256], [256]] }].",
    });
  }
  specs.forEach((spec: unknown, index) => checkSpec(caller, `specs[${index}]`, spec));
}
