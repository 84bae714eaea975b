// SPDX-License-Identifier: Apache-2.0
/**
 * The numbers of an attention call as one int32 vector, the last input of the native ops.
 *
 * They are an input and not attributes because TensorFlow keeps a kernel for each set of attributes,
 * and these change from call to call. native/ops reads the same layout:
 *
 *     0 windowLeft  1 windowRight  2 bottomRight  3 seed  4 dropThreshold  5 keepScale (float bits)
 *     6 scale (bits)  7 softcap (bits)  8 blocks  9 pageSize  10 length of the page table
 *     with blocks: qStart [blocks + 1], kStart [blocks], kLength [blocks]
 *     with pages:  pageStart [blocks], table [length]
 */
import type { AttentionAttrs } from '../kernel_names.js';
import { dropThreshold } from '../spec/dropout.js';
import type { MaskBlocks, MaskPages } from '../spec/mask.js';

const HEAD = 11;

export function attentionParams({
  plan,
  scale,
  softcap,
  p,
  seed,
}: Pick<AttentionAttrs, 'plan' | 'scale' | 'softcap' | 'p' | 'seed'>): Int32Array {
  const { blocks, pages } = plan;
  const tail = blocks ? blockNumbers(blocks, pages) : [];
  const params = new Int32Array(HEAD + tail.length);
  const floats = new Float32Array(params.buffer);
  params[0] = plan.windowLeft;
  params[1] = plan.windowRight;
  params[2] = plan.align === 'bottomRight' ? 1 : 0;
  // Both are unsigned; an Int32Array keeps their 32 bits.
  params[3] = seed;
  params[4] = dropThreshold(p);
  floats[5] = 1 / (1 - p);
  floats[6] = scale;
  floats[7] = softcap;
  params[8] = blocks ? blocks.kLength.length : 0;
  params[9] = pages ? pages.pageSize : 0;
  params[10] = pages ? tableLength(pages) : 0;
  params.set(tail, HEAD);
  return params;
}

function tableLength({ table }: MaskPages): number {
  return table.reduce((total, row) => total + row.length, 0);
}

function blockNumbers({ qStart, kStart, kLength }: MaskBlocks, pages?: MaskPages): number[] {
  const numbers = [...qStart, ...kStart, ...kLength];
  if (!pages) return numbers;
  let start = 0;
  for (const row of pages.table) {
    numbers.push(start);
    start += row.length;
  }
  return numbers.concat(pages.table.flat());
}
