// SPDX-License-Identifier: Apache-2.0
/** Rotary embedding as a config.json has it, as the option `rope` of this package's layers. */
import type { RotaryRule, RotaryScaling } from '../../../src/index.js';
import type { ConfigReader } from '../checkpoint/config_reader.js';

/** An optional number of the file, under the name of the option. */
function optional<K extends string>(reader: ConfigReader, key: string, option: K) {
  return (reader.has(key) ? { [option]: reader.number(key) } : {}) as Partial<Record<K, number>>;
}

function scalingOf(reader: ConfigReader, positions: number | null): RotaryScaling | null {
  const key = reader.has('rope_type') ? 'rope_type' : 'type';
  const type = reader.string(key, 'default');
  const original = 'original_max_position_embeddings';
  const originalMaxPositionEmbeddings = () => reader.count(original, positions ?? undefined);
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: reader.number('factor') };
    case 'llama3':
      return {
        ...{ type, factor: reader.number('factor') },
        originalMaxPositionEmbeddings: originalMaxPositionEmbeddings(),
        ...optional(reader, 'low_freq_factor', 'lowFreqFactor'),
        ...optional(reader, 'high_freq_factor', 'highFreqFactor'),
      };
    case 'yarn':
      return {
        ...{ type, factor: reader.number('factor') },
        originalMaxPositionEmbeddings: originalMaxPositionEmbeddings(),
        ...optional(reader, 'beta_fast', 'betaFast'),
        ...optional(reader, 'beta_slow', 'betaSlow'),
        ...optional(reader, 'attention_factor', 'attentionFactor'),
      };
    default:
      throw reader.refuse(key, 'default, linear, llama3 or yarn');
  }
}

/**
 * The rotation of one kind of layers. Files of transformers 5 have all of it in `rope_parameters`, by kind where there
 * are several; older ones have a base and, in `rope_scaling`, the rest.
 *
 * @param base where older files have the base, and what it is if they do not.
 */
export function ropeOf(
  reader: ConfigReader,
  kind: 'full_attention' | 'sliding_attention',
  base: { key: string; otherwise: number; isScaled: boolean },
): RotaryRule {
  const all = reader.inner('rope_parameters');
  const own = all?.has(kind) ? all.inner(kind) : all;
  const rules = own ?? (base.isScaled ? reader.inner('rope_scaling') : null);
  const theta = own ?? reader;
  const positions = reader.has('max_position_embeddings')
    ? reader.count('max_position_embeddings')
    : null;
  const scaling = rules && scalingOf(rules, positions);
  return {
    base: theta.number(own ? 'rope_theta' : base.key, base.otherwise),
    ...(scaling && { scaling }),
  };
}
