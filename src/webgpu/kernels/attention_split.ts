// SPDX-License-Identifier: Apache-2.0
/** Host side of attention of few queries (wgsl/split.ts): the pieces of work, then their merging. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { dispatch, makeOutput, uploadIntegers } from '../dispatcher.js';
import { attentionSplitDirectProgram } from '../programs/attention_split_direct.js';
import { attentionSplitMergeProgram, mergeGroups } from '../programs/attention_split_merge.js';
import { attentionSplitProgram } from '../programs/attention_split.js';
import type { AttentionForwardVariant } from '../programs/attention_passes.js';
import { groupedTiles } from '../schedule.js';
import { mergeSlices, splitShape, splitSpans } from '../split_tile.js';
import type { SplitTile } from '../split_tile.js';
import { deviceFacts, isDirect } from '../tuning.js';
import { quadsOf } from '../wgsl/tensor.js';
import { uniformsOf } from './attention_call.js';
import type { AttentionCall } from './attention_call.js';

/**
 * Dispatches the forward pass of a call.
 * @param rest sink if any, output, logSumExp.
 */
export function dispatchSplit(
  call: AttentionCall,
  variant: Omit<AttentionForwardVariant, 'tile'>,
  tile: SplitTile,
  rest: TensorInfo[],
): void {
  const { backend, attrs, inputs, dims } = call;
  const { output, sink, ...ofPieces } = variant;
  const facts = deviceFacts(backend.device);
  const { splits, span } = splitSpans(facts, tile, splitShape(attrs.plan, dims));
  const group = dims.heads / dims.kvHeads;
  const dense = variant.layout === 'dense';
  const schedule = groupedTiles(attrs.plan, dims.queries, dims.keys, group, tile.rows);
  const integers = dense ? [] : [uploadIntegers(backend, schedule.integers)];
  const items = schedule.tiles * dims.kvHeads * (dense ? dims.batch : 1);
  const pieces = items * splits;
  const uniforms = {
    ...uniformsOf(call),
    ...{ tiles: schedule.tiles, splits, span, pieces, merged_rows: items * tile.rows },
    block_offset: schedule.blockOffset,
    table_offset: schedule.tableOffset,
  };
  const parts = makeOutput(backend, [pieces, tile.rows, quadsOf(dims.valueDim), 4]);
  const stats = makeOutput(backend, [pieces, tile.rows, 2]);

  const direct = isDirect(tile);
  const program = (direct ? attentionSplitDirectProgram : attentionSplitProgram)({
    ...ofPieces,
    tile,
  });
  const bias = inputs.bias ? [inputs.bias] : [];
  dispatch(
    backend,
    program,
    [inputs.query, inputs.key, inputs.value, ...bias, ...integers, parts, stats],
    uniforms,
    direct ? Math.ceil(pieces / tile.threads) : pieces,
  );

  const merge = {
    ...{ v: variant.v, output, sink, layout: variant.layout, rows: tile.rows },
    slices: mergeSlices(facts, dims.valueDim),
  };
  dispatch(
    backend,
    attentionSplitMergeProgram(merge),
    [parts, stats, ...integers, ...rest],
    uniforms,
    mergeGroups(merge, items * tile.rows),
  );
  for (const { dataId } of [parts, stats, ...integers]) backend.disposeData(dataId);
}
