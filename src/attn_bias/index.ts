// SPDX-License-Identifier: Apache-2.0
export { AttentionBias } from './base.js';
export {
  BlockDiagonalCausalFromBottomRightMask,
  BlockDiagonalCausalLocalAttentionFromBottomRightMask,
  BlockDiagonalCausalLocalAttentionMask,
  BlockDiagonalCausalMask,
  BlockDiagonalMask,
} from './block_diagonal.js';
export type { SequenceLengths } from './block_diagonal.js';
export {
  BlockDiagonalCausalWithOffsetGappyKeysMask,
  BlockDiagonalGappyKeysMask,
} from './gappy_keys.js';
export {
  LocalAttentionFromBottomRightMask,
  LowerTriangularFromBottomRightLocalAttentionMask,
} from './local.js';
export type { LocalAttentionWindow } from './local.js';
export {
  LowerTriangularFromBottomRightMask,
  LowerTriangularMask,
  LowerTriangularMaskWithTensorBias,
} from './lower_triangular.js';
export {
  BlockDiagonalCausalLocalAttentionPaddedKeysMask,
  BlockDiagonalCausalWithOffsetPaddedKeysMask,
  BlockDiagonalLocalAttentionPaddedKeysMask,
  BlockDiagonalPaddedKeysMask,
} from './padded_keys.js';
export {
  PagedBlockDiagonalCausalWithOffsetPaddedKeysMask,
  PagedBlockDiagonalPaddedKeysMask,
} from './paged.js';
export type { BlockTables } from './paged.js';
