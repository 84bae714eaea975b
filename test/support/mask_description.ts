// SPDX-License-Identifier: Apache-2.0
import type { Tensor } from '@tensorflow/tfjs-core';
import * as attnBias from '../../src/attn_bias/index.js';
import type { MaskDescription } from './reference_mask.js';

/**
 * The mask of a description, or null where there is only a tensor ('TensorBias').
 * LowerTriangularMaskWithTensorBias takes its tensor from `bias`.
 */
export function maskFromDescription(
  description: MaskDescription,
  bias?: Tensor,
): attnBias.AttentionBias | null {
  // A field that a type needs and the description lacks is a mistake in the description.
  const field = <K extends keyof MaskDescription>(name: K): NonNullable<MaskDescription[K]> => {
    const value = description[name];
    if (value === undefined) throw new Error(`${description.type} needs ${name}`);
    return value;
  };
  const blocks = () => attnBias.BlockDiagonalMask.fromSeqlens(field('qSeqlen'), field('kvSeqlen'));
  const padded = () => [field('qSeqlen'), field('kvPadding'), field('kvSeqlen')] as const;
  const gappy = () => [field('qSeqlen'), field('kvSeqstarts'), field('kvSeqlen')] as const;
  const paged = () =>
    [field('qSeqlen'), field('kvSeqlen'), field('blockTables'), field('pageSize')] as const;
  switch (description.type) {
    case 'TensorBias':
      return null;
    case 'LowerTriangularMask':
      return new attnBias.LowerTriangularMask();
    case 'LowerTriangularMaskWithTensorBias':
      if (!bias) throw new Error('LowerTriangularMaskWithTensorBias needs its tensor');
      return new attnBias.LowerTriangularMaskWithTensorBias(bias);
    case 'LowerTriangularFromBottomRightMask':
      return new attnBias.LowerTriangularFromBottomRightMask();
    case 'LowerTriangularFromBottomRightLocalAttentionMask':
      return new attnBias.LowerTriangularFromBottomRightLocalAttentionMask(field('windowSize'));
    case 'LocalAttentionFromBottomRightMask':
      return new attnBias.LocalAttentionFromBottomRightMask({
        windowLeft: field('windowLeft'),
        windowRight: field('windowRight'),
      });
    case 'BlockDiagonalMask':
      return blocks();
    case 'BlockDiagonalCausalMask':
      return blocks().makeCausal();
    case 'BlockDiagonalCausalFromBottomRightMask':
      return blocks().makeCausalFromBottomRight();
    case 'BlockDiagonalCausalLocalAttentionMask':
      return blocks().makeLocalAttention(field('windowSize'));
    case 'BlockDiagonalCausalLocalAttentionFromBottomRightMask':
      return blocks().makeLocalAttentionFromBottomRight(field('windowSize'));
    case 'BlockDiagonalPaddedKeysMask':
      return attnBias.BlockDiagonalPaddedKeysMask.fromSeqlens(...padded());
    case 'BlockDiagonalCausalWithOffsetPaddedKeysMask':
      return attnBias.BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens(...padded());
    case 'BlockDiagonalLocalAttentionPaddedKeysMask':
      return attnBias.BlockDiagonalLocalAttentionPaddedKeysMask.fromSeqlensLocal(
        ...padded(),
        field('windowLeft'),
        field('windowRight'),
      );
    case 'BlockDiagonalCausalLocalAttentionPaddedKeysMask':
      return attnBias.BlockDiagonalCausalLocalAttentionPaddedKeysMask.fromSeqlensLocal(
        ...padded(),
        field('windowSize'),
      );
    case 'BlockDiagonalGappyKeysMask':
      return attnBias.BlockDiagonalGappyKeysMask.fromSeqlens(...gappy());
    case 'BlockDiagonalCausalWithOffsetGappyKeysMask':
      return attnBias.BlockDiagonalCausalWithOffsetGappyKeysMask.fromSeqlens(...gappy());
    case 'PagedBlockDiagonalPaddedKeysMask':
      return attnBias.PagedBlockDiagonalPaddedKeysMask.fromSeqlens(...paged());
    case 'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask':
      return attnBias.PagedBlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens(...paged());
    default:
      throw new Error(`No mask is named ${description.type}`);
  }
}
