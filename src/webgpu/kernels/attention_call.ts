// SPDX-License-Identifier: Apache-2.0
/** What the attention kernels' host sides share: sizes, uniforms, mask data and the grid. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { AttentionAttrs, AttentionInputs } from '../../kernel_names.js';
import type { AttentionDims } from '../../spec/attention.js';
import { dimsOfOperands, operandRows } from '../../spec/attention_layout.js';
import { dropThreshold } from '../../spec/dropout.js';
import { MAX_FUSED_HEAD_DIM } from '../../spec/support.js';
import type { WebGPUBackend } from '../backend.js';
import { attentionChoice } from '../candidates.js';
import { choose } from '../choices.js';
import { dispatch, uploadIntegers } from '../dispatcher.js';
import type { Program } from '../program.js';
import { keyTiles, layoutOf, queryTiles } from '../schedule.js';
import { deviceFacts } from '../tuning.js';
import type { AttentionPass } from '../tuning.js';
import type { AttentionVariant } from '../wgsl/attention.js';

export interface AttentionCall {
  backend: WebGPUBackend;
  attrs: AttentionAttrs;
  inputs: AttentionInputs<TensorInfo>;
  dims: AttentionDims;
}

export function attentionCall(
  backend: WebGPUBackend,
  attrs: AttentionAttrs,
  inputs: AttentionInputs<TensorInfo>,
): AttentionCall {
  const [query, key, value] = [inputs.query.shape, inputs.key.shape, inputs.value.shape];
  return { backend, attrs, inputs, dims: dimsOfOperands(attrs, { query, key, value }) };
}

/** Whether the fused programs take this call: heads within the limit, and no empty buffer to bind. */
export function isFused({ dims }: AttentionCall): boolean {
  const { keyDim, valueDim } = dims;
  const sizes = [dims.batch, dims.queries, dims.keys, dims.heads, keyDim, valueDim];
  return sizes.every((size) => size > 0) && Math.max(keyDim, valueDim) <= MAX_FUSED_HEAD_DIM;
}

/** What is baked into the programs of a call. */
export function variantOf(call: AttentionCall, pass: AttentionPass): AttentionVariant {
  const { attrs, dims, backend } = call;
  const { dtype, biasKind, plan, softcap, p } = attrs;
  const layout = layoutOf(plan);
  const options = [...(softcap > 0 ? ['softcap'] : []), ...(p > 0 ? ['dropout'] : [])];
  const kind = [layout, `bias ${biasKind}`, ...options].join(', ');
  const { device } = backend;
  return {
    ...{ k: dims.keyDim, v: dims.valueDim, dtype, layout, bias: biasKind },
    ...{ softcap: softcap > 0, dropout: p > 0 },
    tile: choose(device, attentionChoice(deviceFacts(device), pass, dtype, kind, plan, dims)),
  };
}

/** Values of ROW_UNIFORMS. */
export function rowUniformsOf({ attrs, dims }: AttentionCall): Record<string, number> {
  const { query, key, output, firstKey, firstValue } = operandRows(attrs.layout, dims);
  return {
    ...{ q_batch: query.batch, q_row: query.row, q_head: query.head },
    ...{ kv_batch: key.batch, kv_row: key.row, kv_head: key.head },
    ...{ o_batch: output.batch, o_row: output.row, o_head: output.head },
    ...{ first_key: firstKey, first_value: firstValue },
  };
}

/** Values of ATTENTION_UNIFORMS, without the schedule's. */
export function uniformsOf(call: AttentionCall): Record<string, number> {
  const { attrs, dims, inputs } = call;
  const { plan, p } = attrs;
  const [biasB, biasH, biasI, biasJ] = broadcastStrides(inputs.bias?.shape ?? [1, 1, 1, 1]);
  return {
    batch: dims.batch,
    queries: dims.queries,
    keys: dims.keys,
    heads: dims.heads,
    kv_heads: dims.kvHeads,
    window_left: plan.windowLeft,
    window_right: plan.windowRight,
    bottom_right: plan.align === 'bottomRight' ? 1 : 0,
    scale: attrs.scale,
    softcap: attrs.softcap,
    bias_b: biasB,
    bias_h: biasH,
    bias_i: biasI,
    bias_j: biasJ,
    seed: attrs.seed,
    drop_threshold: dropThreshold(p),
    keep_scale: 1 / (1 - p),
    tiles: 0,
    block_offset: 0,
    table_offset: 0,
    page_size: plan.pages?.pageSize ?? 1,
    ...rowUniformsOf(call),
  };
}

/** Strides of a rank 4 tensor, 0 along the axes of size 1, which are broadcast. */
function broadcastStrides(shape: number[]): [number, number, number, number] {
  const strides = [0, 0, 0, 0];
  let stride = 1;
  for (let axis = 3; axis >= 0; axis--) {
    strides[axis] = shape[axis] === 1 ? 0 : stride;
    stride *= shape[axis]!;
  }
  return strides as [number, number, number, number];
}

/**
 * Dispatches a program over the tiles of queries (or keys) of each batch item and head (or key/value
 * head): one workgroup to each.
 * @param rest the program's bindings after the inputs.
 */
export function dispatchTiles(
  call: AttentionCall,
  program: Program,
  variant: AttentionVariant,
  over: 'queries' | 'keys',
  rest: TensorInfo[],
): void {
  const { backend, attrs, inputs, dims } = call;
  const { rows } = variant.tile;
  const heads = over === 'queries' ? dims.heads : dims.kvHeads;
  const tensors = [inputs.query, inputs.key, inputs.value];
  if (inputs.bias) tensors.push(inputs.bias);
  const uniforms = uniformsOf(call);
  if (variant.layout === 'dense') {
    const tiles = Math.ceil(dims[over] / rows);
    const items = tiles * dims.batch * heads;
    dispatch(backend, program, [...tensors, ...rest], { ...uniforms, tiles }, items);
    return;
  }
  const makeTiles = over === 'queries' ? queryTiles : keyTiles;
  const schedule = makeTiles(attrs.plan, dims.queries, dims.keys, rows);
  const integers = uploadIntegers(backend, schedule.integers);
  const items = schedule.tiles * heads;
  dispatch(
    backend,
    program,
    [...tensors, integers, ...rest],
    {
      ...uniforms,
      tiles: schedule.tiles,
      block_offset: schedule.blockOffset,
      table_offset: schedule.tableOffset,
    },
    items,
  );
  backend.disposeData(integers.dataId);
}
