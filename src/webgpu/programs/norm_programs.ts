// SPDX-License-Identifier: Apache-2.0
/** The programs of a norm by its tile; of rows in segments, those of the first stage as well. */
import type { NormTile } from '../norm_tile.js';
import type { Program } from '../program.js';
import { normDxDirectProgram } from './norm_dx_direct.js';
import { normDxLoopProgram } from './norm_dx_loop.js';
import { MOST_DX_QUADS, normDxProgram } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { normDxSegmentsProgram, normGradSumsProgram } from './norm_dx_segments.js';
import { normForwardDirectProgram, NORM_DIRECT_ROWS } from './norm_forward_direct.js';
import { normForwardProgram } from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';
import { normForwardSegmentsProgram, normMomentsProgram } from './norm_forward_segments.js';
import { normForwardThreadProgram } from './norm_forward_thread.js';
import { normWorkgroup } from './norm_frames.js';

/** Rows that a workgroup owns; of rows in segments, a workgroup owns less than one. */
export function normRowsPerGroup(tile: Exclude<NormTile, { by: 'segments' }>): number {
  if (tile.by === 'blocks') return NORM_DIRECT_ROWS;
  const lanes = tile.by === 'thread' ? 1 : tile.lanes;
  return normWorkgroup(lanes) / lanes;
}

export interface NormPrograms {
  /** Writes what the other reads after its inputs. */
  first: Program | null;
  last: Program;
}

export function normForwardPrograms(variant: NormForwardVariant): NormPrograms {
  const { tile } = variant;
  switch (tile.by) {
    case 'blocks':
      return { first: null, last: normForwardDirectProgram(variant) };
    case 'thread':
      return { first: null, last: normForwardThreadProgram(variant) };
    case 'lanes':
      return { first: null, last: normForwardProgram(variant, tile.lanes, tile.quads) };
    case 'segments':
      return {
        first: normMomentsProgram(variant, tile.lanes),
        last: normForwardSegmentsProgram(variant, tile.lanes),
      };
  }
}

export function normDxPrograms(variant: NormDxVariant): NormPrograms {
  const { tile } = variant;
  switch (tile.by) {
    case 'blocks':
      return { first: null, last: normDxDirectProgram(variant) };
    case 'thread':
      return { first: null, last: normDxLoopProgram(variant, 1) };
    case 'lanes': {
      const { lanes, quads } = tile;
      const keeps = quads <= MOST_DX_QUADS;
      const last = keeps ? normDxProgram(variant, lanes, quads) : normDxLoopProgram(variant, lanes);
      return { first: null, last };
    }
    case 'segments':
      return {
        first: normGradSumsProgram(variant, tile.lanes),
        last: normDxSegmentsProgram(variant, tile.lanes),
      };
  }
}
