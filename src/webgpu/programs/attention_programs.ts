// SPDX-License-Identifier: Apache-2.0
/** The program of each attention pass for a variant: tiled in workgroup memory, with subgroup matrices, or direct. */
import { isMatrix } from '../matrix_tile.js';
import type { Program } from '../program.js';
import { isDirect } from '../tuning.js';
import type { AttentionVariant } from '../wgsl/attention.js';
import { attentionDkdvProgram } from './attention_dkdv.js';
import { attentionDkdvDirectProgram } from './attention_dkdv_direct.js';
import { attentionDkdvMatrixProgram } from './attention_dkdv_matrix.js';
import { attentionDqProgram } from './attention_dq.js';
import { attentionDqDirectProgram } from './attention_dq_direct.js';
import { attentionDqMatrixProgram } from './attention_dq_matrix.js';
import { attentionForwardProgram } from './attention_forward.js';
import { attentionForwardMatrixProgram } from './attention_forward_matrix.js';
import { attentionForwardDirectProgram } from './attention_forward_direct.js';
import type { AttentionDkdvVariant, AttentionForwardVariant } from './attention_passes.js';

export function forwardProgram(variant: AttentionForwardVariant): Program {
  const { tile } = variant;
  if (isMatrix(tile)) return attentionForwardMatrixProgram(variant, tile);
  const make = isDirect(tile) ? attentionForwardDirectProgram : attentionForwardProgram;
  return make(variant);
}

export function dqProgram(variant: AttentionVariant): Program {
  const { tile } = variant;
  if (isMatrix(tile)) return attentionDqMatrixProgram(variant, tile);
  return isDirect(tile) ? attentionDqDirectProgram(variant) : attentionDqProgram(variant);
}

export function dkdvProgram(variant: AttentionDkdvVariant): Program {
  const { tile } = variant;
  if (isMatrix(tile)) return attentionDkdvMatrixProgram(variant, tile);
  const make = isDirect(tile) ? attentionDkdvDirectProgram : attentionDkdvProgram;
  return make(variant);
}
