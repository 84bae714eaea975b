// SPDX-License-Identifier: Apache-2.0
/** Models that a visitor can choose, and the settings that come with each. */
import type { Settings } from '../../node-training/settings.js';

export type SizeName = 'tiny' | 'small' | 'medium';

type Sized = Pick<
  Settings,
  'context' | 'width' | 'heads' | 'kvHeads' | 'blocks' | 'batch' | 'steps' | 'learningRate'
>;

const SIZES: Readonly<Record<SizeName, Sized>> = {
  tiny: {
    ...{ context: 32, width: 32, heads: 4, kvHeads: 2, blocks: 2 },
    ...{ batch: 4, steps: 400, learningRate: 1e-2 },
  },
  small: {
    ...{ context: 64, width: 64, heads: 4, kvHeads: 2, blocks: 3 },
    ...{ batch: 12, steps: 1000, learningRate: 5e-3 },
  },
  medium: {
    ...{ context: 128, width: 128, heads: 4, kvHeads: 2, blocks: 4 },
    ...{ batch: 16, steps: 2000, learningRate: 2e-3 },
  },
};

export const SIZE_NAMES = Object.keys(SIZES) as SizeName[];

/** For the choice: "small: 3 blocks of 64". */
export function sizeWords(name: SizeName): string {
  const { blocks, width } = SIZES[name];
  return `${name}: ${blocks} blocks of ${width}`;
}

export function usualSteps(name: SizeName): number {
  return SIZES[name].steps;
}

/** @param steps how many the learning rate is laid out for; training ends with them */
export function settingsOf(name: SizeName, steps: number): Settings {
  return {
    ...SIZES[name],
    steps,
    ...{ tokens: 'characters', vocabulary: 0, strategy: 'float32' },
    ...{ accumulate: 1, warmUp: Math.max(1, Math.round(steps * 0.05)) },
    ...{ weightDecay: 0.1, clip: 1, heldOut: 0.1, seed: 1 },
  };
}
