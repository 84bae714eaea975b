// SPDX-License-Identifier: Apache-2.0
/** What a decoder of the Llama line is made of, whichever family it belongs to. */
import type { RotaryRule } from '../../../src/index.js';
import type { Gate } from '../layers/gated_product.js';

export interface DecoderBlock {
  /** How many tokens a query attends, its own included; null for all before it. */
  windowSize: number | null;
  rope: RotaryRule;
}

export interface DecoderConfig {
  vocabulary: number;
  /** Channels of the residual stream. */
  width: number;
  /** Channels between the MLP's matrices. */
  mlpWidth: number;
  heads: number;
  /** Key and value heads, a divisor of `heads`. */
  kvHeads: number;
  headDim: number;
  /** Of the MLP: 'silu' makes SwiGLU, 'geluTanh' GeGLU. */
  gate: Gate;
  /** Of all norms. */
  epsilon: number;
  /** Added to the gamma of all norms: 1 in Gemma, whose gammas are stored around zero. */
  weightOffset: number;
  /** Norms also after attention and MLP, before the sum: Gemma's. */
  sandwichNorms: boolean;
  /** Factor of the embeddings. */
  embeddingFactor: number;
  /** Factor of the attention's scores. */
  scale: number;
  attentionSoftcap: number | null;
  logitSoftcap: number | null;
  /** Biases of the attention's projections. */
  attentionBiases: boolean;
  /** Whether the table of embeddings makes the logits, too. */
  tiedEmbeddings: boolean;
  blocks: DecoderBlock[];
}

/** The sizes of a decoder; the rest follows from its family. */
export type DecoderSizes = Pick<
  DecoderConfig,
  'vocabulary' | 'width' | 'mlpWidth' | 'heads' | 'kvHeads' | 'headDim'
> & { layers: number };

/** A decoder in the Qwen3 form: SwiGLU, QK-norm, the same attention in all layers. */
export function qwen3Form({ layers, ...sizes }: DecoderSizes, base = 1e6): DecoderConfig {
  return {
    ...sizes,
    gate: 'silu',
    epsilon: 1e-6,
    weightOffset: 0,
    sandwichNorms: false,
    embeddingFactor: 1,
    scale: 1 / Math.sqrt(sizes.headDim),
    attentionSoftcap: null,
    logitSoftcap: null,
    attentionBiases: false,
    tiedEmbeddings: true,
    blocks: Array.from({ length: layers }, () => ({ windowSize: null, rope: { base } })),
  };
}

/** Where a Gemma 3 looks how far. */
export interface GemmaPattern {
  /** How many tokens a local layer attends. */
  windowSize: number;
  /** Every so many layers there is a global one. */
  every: number;
}

/** A decoder in the Gemma 3 form: GeGLU, sandwich norms, mostly local layers, positions of their own for each kind. */
export function gemma3Form(
  { layers, ...sizes }: DecoderSizes,
  { windowSize, every }: GemmaPattern,
): DecoderConfig {
  return {
    ...qwen3Form({ ...sizes, layers: 0 }),
    gate: 'geluTanh',
    weightOffset: 1,
    sandwichNorms: true,
    embeddingFactor: Math.sqrt(sizes.width),
    blocks: Array.from({ length: layers }, (_, index) =>
      (index + 1) % every === 0
        ? { windowSize: null, rope: { base: 1e6 } }
        : { windowSize, rope: { base: 1e4 } },
    ),
  };
}
