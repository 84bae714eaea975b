// SPDX-License-Identifier: Apache-2.0
/** The masks of the golden file, and drawn ones, against the independent reference, cell by cell. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import * as tf from '@tensorflow/tfjs';
import { maskFromDescription } from '../support/mask_description.js';
import { allowedCells } from '../support/reference_mask.js';
import type { MaskDescription } from '../support/reference_mask.js';

interface GoldenCase {
  name: string;
  dims: number[];
  attnBias: MaskDescription | null;
}

const index = JSON.parse(
  readFileSync(new URL('../golden/index.json', import.meta.url), 'utf8'),
) as { attention: GoldenCase[] };

/** 1 where materialize has 0. The bias of LowerTriangularMaskWithTensorBias is 0 here. */
function cellsOf(description: MaskDescription, queries: number, keys: number): Uint8Array {
  return tf.tidy(() => {
    const mask = maskFromDescription(description, tf.zeros([1, 1]))!;
    const values = mask.materialize([queries, keys]).dataSync();
    return Uint8Array.from(values, (value) => Number(value === 0));
  });
}

function sum(lengths: readonly number[]): number {
  return lengths.reduce((total, n) => total + n, 0);
}

/** Whole numbers from a multiplicative generator, so that a failure can be run again. */
function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 0x7fffffff;
    return state % below;
  };
}

/** A drawn mask that is valid, with the number of key rows it wants. */
function drawMask(type: string, draw: (below: number) => number): [MaskDescription, number] {
  const blocks = 1 + draw(4);
  const list = (f: () => number) => Array.from({ length: blocks }, f);
  const qSeqlen = list(() => draw(5));
  const kvSeqlen = qSeqlen.map((q) => q + draw(4));
  const windows = { windowSize: 1 + draw(4), windowLeft: draw(4), windowRight: draw(4) };
  const common = { type, qSeqlen, kvSeqlen, ...windows };
  if (type.startsWith('Paged')) {
    const pageSize = 1 + draw(3);
    const pages = Math.ceil(Math.max(...kvSeqlen) / pageSize);
    let next = blocks * pages;
    const blockTables = kvSeqlen.map(() => Array.from({ length: pages }, () => --next));
    return [{ ...common, blockTables, pageSize }, blocks * pages * pageSize];
  }
  if (type.includes('PaddedKeys')) {
    const kvPadding = Math.max(...kvSeqlen) + draw(3);
    return [{ ...common, kvPadding }, blocks * kvPadding];
  }
  if (type.includes('GappyKeys')) {
    const kvSeqstarts = [draw(3)];
    for (const length of kvSeqlen) kvSeqstarts.push(kvSeqstarts.at(-1)! + length + draw(3));
    return [{ ...common, kvSeqstarts }, kvSeqstarts.at(-1)!];
  }
  return [common, sum(kvSeqlen)];
}

const PACKED_TYPES = [
  'BlockDiagonalMask',
  'BlockDiagonalCausalMask',
  'BlockDiagonalCausalFromBottomRightMask',
  'BlockDiagonalCausalLocalAttentionMask',
  'BlockDiagonalCausalLocalAttentionFromBottomRightMask',
  'BlockDiagonalPaddedKeysMask',
  'BlockDiagonalCausalWithOffsetPaddedKeysMask',
  'BlockDiagonalLocalAttentionPaddedKeysMask',
  'BlockDiagonalCausalLocalAttentionPaddedKeysMask',
  'BlockDiagonalGappyKeysMask',
  'BlockDiagonalCausalWithOffsetGappyKeysMask',
  'PagedBlockDiagonalPaddedKeysMask',
  'PagedBlockDiagonalCausalWithOffsetPaddedKeysMask',
];

describe('attnBias against the reference', () => {
  before(() => tf.setBackend('cpu'));

  for (const { name, dims, attnBias } of index.attention) {
    if (!attnBias || attnBias.type === 'TensorBias') continue;
    it(`golden ${name}: ${attnBias.type}`, () => {
      const [queries, keys] = [dims[1]!, dims[2]!];
      const expected = allowedCells(attnBias, queries, keys);
      expect(Buffer.compare(cellsOf(attnBias, queries, keys), expected)).to.equal(0);
    });
  }

  it('golden TensorBias is no mask', () => {
    expect(maskFromDescription({ type: 'TensorBias' })).to.equal(null);
  });

  for (const type of PACKED_TYPES) {
    it(`30 drawn masks: ${type}`, () => {
      const draw = drawer(20240 + type.length);
      for (let n = 0; n < 30; n++) {
        const [description, keys] = drawMask(type, draw);
        const queries = sum(description.qSeqlen!);
        const cells = cellsOf(description, queries, keys);
        const expected = allowedCells(description, queries, keys);
        expect(cells, JSON.stringify(description)).to.deep.equal(expected);
      }
    });
  }
});
