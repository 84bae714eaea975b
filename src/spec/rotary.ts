// SPDX-License-Identifier: Apache-2.0
/**
 * Rotary position embedding: pairs of channels turn with their position (RoFormer, arXiv 2104.09864).
 *
 *     pair i of a row at position p turns by the angle p * f_i
 *     f_i = base^(-2i / dim),  i = 0 … dim/2 - 1,  then changed by `scaling`
 *     (a, b) -> m * (a cos - b sin, b cos + a sin),  m = 1 but for 'yarn'
 *
 * The pairs are (x[i], x[i + dim/2]), as in Llama, GPT-NeoX, Qwen and Gemma, or with `interleaved`
 * (x[2i], x[2i + 1]), as in RoFormer and GPT-J. Channels from `dim` on stay as they are. Frequencies and
 * angles are float64, and cos and sin are rounded once: shaders may err by 5e-4 in cos alone.
 *
 * The scalings are those of Hugging Face's transformers, modeling_rope_utils.py, by the same names.
 */
import { checkFlag, describe, rangeError, typeError } from './errors.js';

/** Positions are divided by `factor`: Gemma 3's global layers have 8. */
export interface LinearRotaryScaling {
  type: 'linear';
  factor: number;
}

/** Llama 3.1 and later: low frequencies are divided by `factor`, high ones kept, those between mixed. */
export interface Llama3RotaryScaling {
  type: 'llama3';
  factor: number;
  /** 1. */
  lowFreqFactor?: number | undefined;
  /** 4. */
  highFreqFactor?: number | undefined;
  originalMaxPositionEmbeddings: number;
}

/** YaRN (arXiv 2309.00071), for long contexts of Qwen3 and others. */
export interface YarnRotaryScaling {
  type: 'yarn';
  factor: number;
  originalMaxPositionEmbeddings: number;
  /** 32. */
  betaFast?: number | undefined;
  /** 1. */
  betaSlow?: number | undefined;
  /** m, the factor of the channels that turn. 0.1 ln(factor) + 1. */
  attentionFactor?: number | undefined;
}

export type RotaryScaling = LinearRotaryScaling | Llama3RotaryScaling | YarnRotaryScaling;

/** A scaling with every default filled in. */
type Filled<S> = S extends object ? { [name in keyof S]-?: NonNullable<S[name]> } : never;

export interface RotaryRule {
  /** Wavelengths go from 2π to 2π * base; `rope_theta` in transformers. 10000. */
  base?: number | undefined;
  /** Channels that turn, from the first on; even. All. */
  dim?: number | null | undefined;
  /** Whether neighbouring channels are a pair, instead of those dim/2 apart. false. */
  interleaved?: boolean | undefined;
  /** How the frequencies are changed for long contexts. null. */
  scaling?: RotaryScaling | null | undefined;
}

/** RotaryRule with every default filled in; plain data, as a layer's configuration holds it. */
export interface RotaryRules {
  readonly base: number;
  readonly dim: number | null;
  readonly interleaved: boolean;
  readonly scaling: Filled<RotaryScaling> | null;
}

export const ROTARY_RULES: readonly (keyof RotaryRule)[] = [
  'base',
  'dim',
  'interleaved',
  'scaling',
];

/** The numbers of each scaling, with their defaults; null where it must be given. */
const SCALINGS: Record<RotaryScaling['type'], Record<string, number | null>> = {
  linear: { factor: null },
  llama3: {
    factor: null,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: null,
  },
  yarn: {
    factor: null,
    originalMaxPositionEmbeddings: null,
    betaFast: 32,
    betaSlow: 1,
    attentionFactor: null,
  },
};

/** Checks a rule whose names are known, and fills in the defaults; `prefix` is what its names follow. */
export function rotaryRules(op: string, prefix: string, rule: RotaryRule): RotaryRules {
  const { base = 10000, dim = null, interleaved = false, scaling = null } = rule;
  checkPositive(op, `${prefix}base`, base, 'Pass rope_theta of the model; 10000 is the usual one.');
  if (dim !== null && !(Number.isInteger(dim) && dim > 0 && dim % 2 === 0)) {
    throw rangeError({
      op,
      argument: `${prefix}dim`,
      expected: 'an even whole number above 0',
      got: describe(dim),
      mend: 'Channels turn in pairs; leave it out to turn all.',
    });
  }
  const mend = 'Leave it out for the pairs of Llama, Qwen and Gemma.';
  checkFlag(op, `${prefix}interleaved`, interleaved, mend);
  const checked = scaling === null ? null : checkScaling(op, `${prefix}scaling`, scaling);
  return Object.freeze({ base, dim, interleaved, scaling: checked });
}

function checkScaling(op: string, argument: string, scaling: unknown): Filled<RotaryScaling> {
  const types = Object.keys(SCALINGS);
  const { type, ...numbers } = (scaling ?? {}) as Record<string, unknown>;
  const known = typeof type === 'string' && types.includes(type) ? SCALINGS[type as 'yarn'] : null;
  if (!known) {
    throw rangeError({
      op,
      argument,
      expected: `{type, …} of type ${types.map((name) => `'${name}'`).join(', ')}`,
      got: type === undefined ? describe(scaling) : `type ${describe(type)}`,
      mend: "Pass for example {type: 'linear', factor: 8}, or null for none.",
    });
  }
  const unknown = Object.keys(numbers).find((name) => !(name in known));
  if (unknown !== undefined) {
    throw typeError({
      op,
      argument,
      expected: `made of type, ${Object.keys(known).join(', ')}`,
      got: `the unknown name '${unknown}'`,
      mend: "The names are transformers' in camel case.",
    });
  }
  const values: Record<string, unknown> = { type };
  for (const [name, fallback] of Object.entries(known)) {
    values[name] = numbers[name] ?? fallback;
    if (name === 'attentionFactor' && values[name] === null) {
      values[name] = 0.1 * Math.log(Math.max(values['factor'] as number, 1)) + 1;
    }
    const mend = 'Take it from the rope_scaling of the model.';
    checkPositive(op, `${argument}.${name}`, values[name], mend);
  }
  return Object.freeze(values) as unknown as Filled<RotaryScaling>;
}

function checkPositive(op: string, argument: string, value: unknown, mend: string): void {
  const rejection = {
    op,
    argument,
    expected: 'a finite number above 0',
    got: describe(value),
    mend,
  };
  if (typeof value !== 'number') throw typeError(rejection);
  if (!(Number.isFinite(value) && value > 0)) throw rangeError(rejection);
}

/** Channels that turn in rows of `width`; throws where there are not as many. */
export function rotaryDim(op: string, prefix: string, rules: RotaryRules, width: number): number {
  const dim = rules.dim ?? width;
  if (dim % 2 !== 0 || dim > width) {
    throw rangeError({
      op,
      argument: `${prefix}dim`,
      expected: `even and at most ${width}, the head dim`,
      got: String(dim),
      mend: 'Channels turn in pairs; name fewer of them.',
    });
  }
  return dim;
}

/** The angle of each pair for one position, and the factor of what is turned. */
export function rotaryFrequencies(
  { base, scaling }: RotaryRules,
  dim: number,
): { frequencies: Float64Array; factor: number } {
  const frequencies = Float64Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));
  switch (scaling?.type) {
    case undefined:
      return { frequencies, factor: 1 };
    case 'linear':
      return { frequencies: frequencies.map((f) => f / scaling.factor), factor: 1 };
    case 'llama3':
      return { frequencies: frequencies.map((f) => llama3(f, scaling)), factor: 1 };
    case 'yarn':
      return { frequencies: yarn(frequencies, base, scaling), factor: scaling.attentionFactor };
  }
}

/** By the number of turns that fit into the original context: few are interpolated, many kept. */
function llama3(frequency: number, scaling: Filled<Llama3RotaryScaling>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
  if (turns < lowFreqFactor) return frequency / factor;
  if (turns > highFreqFactor) return frequency;
  const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

/** A ramp over the pairs, between those that turn betaFast and betaSlow times in the original context. */
function yarn(
  frequencies: Float64Array,
  base: number,
  scaling: Filled<YarnRotaryScaling>,
): Float64Array {
  const { factor, originalMaxPositionEmbeddings, betaFast, betaSlow } = scaling;
  const dim = 2 * frequencies.length;
  const pairWithTurns = (turns: number) =>
    (dim * Math.log(originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(Math.floor(pairWithTurns(betaFast)), 0);
  const high = Math.min(Math.ceil(pairWithTurns(betaSlow)), dim - 1);
  const width = high === low ? 1e-3 : high - low;
  return frequencies.map((frequency, i) => {
    const interpolated = Math.min(Math.max((i - low) / width, 0), 1);
    return frequency * (1 - interpolated) + (frequency / factor) * interpolated;
  });
}
