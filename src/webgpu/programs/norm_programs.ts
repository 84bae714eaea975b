// SPDX-License-Identifier: Apache-2.0
/** The programs of a norm by its tile; of rows in segments, those of the first stage as well. */
import type { Program } from '../program.js';
import { DX_DIRECT_ROWS, normDxDirectProgram } from './norm_dx_direct.js';
import { normDxLoopProgram } from './norm_dx_loop.js';
import { MOST_DX_QUADS, normDxProgram } from './norm_dx.js';
import type { NormDxVariant } from './norm_dx.js';
import { normDxSegmentsProgram, normGradSumsProgram } from './norm_dx_segments.js';
import { FORWARD_DIRECT_ROWS, normForwardDirectProgram } from './norm_forward_direct.js';
import { normForwardProgram } from './norm_forward.js';
import type { NormForwardVariant } from './norm_forward.js';
import { normForwardSegmentsProgram, normMomentsProgram } from './norm_forward_segments.js';
import { normForwardThreadProgram } from './norm_forward_thread.js';
import { rowsOfWorkgroup } from './norm_frames.js';

export interface NormPrograms {
  /** Writes what the other reads after its inputs. */
  first: Program | null;
  last: Program;
  /** Rows, or segments of rows, that a workgroup of either owns. */
  owned: number;
}

export function normForwardPrograms(variant: NormForwardVariant): NormPrograms {
  const { tile } = variant;
  switch (tile.by) {
    case 'blocks':
      return { first: null, last: normForwardDirectProgram(variant), owned: FORWARD_DIRECT_ROWS };
    case 'thread':
      return { first: null, last: normForwardThreadProgram(variant), owned: rowsOfWorkgroup(1) };
    case 'lanes': {
      const { lanes, quads } = tile;
      const last = normForwardProgram(variant, lanes, quads);
      return { first: null, last, owned: rowsOfWorkgroup(lanes) };
    }
    case 'segments':
      return {
        first: normMomentsProgram(variant, tile.lanes),
        last: normForwardSegmentsProgram(variant, tile.lanes),
        owned: 1,
      };
  }
}

export function normDxPrograms(variant: NormDxVariant): NormPrograms {
  const { tile } = variant;
  switch (tile.by) {
    case 'blocks':
      return { first: null, last: normDxDirectProgram(variant), owned: DX_DIRECT_ROWS };
    case 'thread':
      return { first: null, last: normDxLoopProgram(variant, 1), owned: rowsOfWorkgroup(1) };
    case 'lanes': {
      const { lanes, quads } = tile;
      const keeps = quads <= MOST_DX_QUADS;
      const last = keeps ? normDxProgram(variant, lanes, quads) : normDxLoopProgram(variant, lanes);
      return { first: null, last, owned: rowsOfWorkgroup(lanes) };
    }
    case 'segments':
      return {
        first: normGradSumsProgram(variant, tile.lanes),
        last: normDxSegmentsProgram(variant, tile.lanes),
        owned: 1,
      };
  }
}
