// SPDX-License-Identifier: Apache-2.0
/** Every mask class against a picture drawn by hand. */
import { expect } from 'chai';
import * as tf from '@tensorflow/tfjs';
import * as attnBias from '../../src/attn_bias/index.js';
import { withoutLeak } from '../support/leaks.js';

const {
  BlockDiagonalCausalLocalAttentionPaddedKeysMask,
  BlockDiagonalCausalWithOffsetGappyKeysMask,
  BlockDiagonalCausalWithOffsetPaddedKeysMask,
  BlockDiagonalGappyKeysMask,
  BlockDiagonalLocalAttentionPaddedKeysMask,
  BlockDiagonalMask,
  BlockDiagonalPaddedKeysMask,
  LocalAttentionFromBottomRightMask,
  LowerTriangularFromBottomRightLocalAttentionMask,
  LowerTriangularFromBottomRightMask,
  LowerTriangularMask,
  LowerTriangularMaskWithTensorBias,
  PagedBlockDiagonalCausalWithOffsetPaddedKeysMask,
  PagedBlockDiagonalPaddedKeysMask,
} = attnBias;

/** The values of materialize(shape); throws if a tensor leaks. */
async function valuesOf(mask: attnBias.AttentionBias, shape: number[]): Promise<number[]> {
  return withoutLeak(async () => {
    const tensor = mask.materialize(shape);
    expect(tensor.shape).to.deep.equal(shape);
    expect(tensor.dtype).to.equal('float32');
    const values = Array.from(await tensor.data());
    tensor.dispose();
    return values;
  });
}

/** Expects the mask to be `rows`, one string of 0 and 1 to a query. */
async function expectPicture(mask: attnBias.AttentionBias, rows: string[]): Promise<void> {
  const keys = rows[0]!.length;
  const expected = rows.flatMap((row) => [...row].map((cell) => (cell === '1' ? 0 : -Infinity)));
  expect(await valuesOf(mask, [rows.length, keys])).to.deep.equal(expected);
}

describe('attnBias', () => {
  before(() => tf.setBackend('cpu'));

  it('LowerTriangularMask', async () => {
    const mask = new LowerTriangularMask();
    await expectPicture(mask, ['100', '110', '111']);
    await expectPicture(mask, ['10000', '11000', '11100']);
    await expectPicture(mask, ['10', '11', '11', '11']);
  });

  it('LowerTriangularFromBottomRightMask', async () => {
    const mask = new LowerTriangularFromBottomRightMask();
    await expectPicture(mask, ['100', '110', '111']);
    await expectPicture(mask, ['11100', '11110', '11111']);
    await expectPicture(mask, ['00', '00', '10', '11']);
  });

  it('LowerTriangularFromBottomRightLocalAttentionMask', async () => {
    const window = (size: number) => new LowerTriangularFromBottomRightLocalAttentionMask(size);
    await expectPicture(window(1), ['100', '010', '001']);
    await expectPicture(window(2), ['01100', '00110', '00011']);
    await expectPicture(window(3), ['00', '00', '10', '11']);
    await expectPicture(window(9), ['110', '111']);
    const made = new LowerTriangularFromBottomRightMask().makeLocalAttention(2);
    expect(made).to.be.instanceOf(LowerTriangularFromBottomRightLocalAttentionMask);
    await expectPicture(made, ['01100', '00110', '00011']);
  });

  it('LocalAttentionFromBottomRightMask', async () => {
    const window = (windowLeft: number, windowRight: number) =>
      new LocalAttentionFromBottomRightMask({ windowLeft, windowRight });
    await expectPicture(window(1, 2), ['1110', '1111', '0111', '0011']);
    await expectPicture(window(2, 1), ['11110', '01111', '00111']);
    await expectPicture(window(0, 0), ['0010', '0001']);
    await expectPicture(window(1, 0), ['00', '00', '10', '11']);
    await expectPicture(window(0, 1), ['00', '10', '11', '01']);
  });

  it('LowerTriangularMaskWithTensorBias adds its tensor', async () => {
    const bias = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const mask = new LowerTriangularMask().addBias(bias);
    expect(mask).to.be.instanceOf(LowerTriangularMaskWithTensorBias);
    expect(mask.bias).to.equal(bias);
    expect(mask.plan()).to.deep.equal(new LowerTriangularMask().plan());
    expect(await valuesOf(mask, [2, 2])).to.deep.equal([1, -Infinity, 3, 4]);
    expect(await valuesOf(mask, [2, 1, 2, 2])).to.deep.equal([
      1,
      -Infinity,
      3,
      4,
      1,
      -Infinity,
      3,
      4,
    ]);
    const twice = mask.addBias(bias);
    expect(await valuesOf(twice, [2, 2])).to.deep.equal([2, -Infinity, 6, 8]);
    tf.dispose([bias, twice.bias]);
  });

  it('BlockDiagonalMask', async () => {
    await expectPicture(BlockDiagonalMask.fromSeqlens([2, 1]), ['110', '110', '001']);
    await expectPicture(BlockDiagonalMask.fromSeqlens([2, 1], [3, 2]), ['11100', '11100', '00011']);
    const withEmpty = BlockDiagonalMask.fromSeqlens([1, 0, 2], [0, 2, 1]);
    await expectPicture(withEmpty, ['000', '001', '001']);
  });

  it('BlockDiagonalCausalMask', async () => {
    const mask = BlockDiagonalMask.fromSeqlens([2, 1], [3, 2]).makeCausal();
    await expectPicture(mask, ['10000', '11000', '00010']);
    await expectPicture(BlockDiagonalMask.fromSeqlens([3], [1]).makeCausal(), ['1', '1', '1']);
    expect(mask).to.be.instanceOf(BlockDiagonalMask);
    const direct = attnBias.BlockDiagonalCausalMask.fromSeqlens([2, 1], [3, 2]);
    await expectPicture(direct, ['10000', '11000', '00010']);
  });

  it('BlockDiagonalCausalFromBottomRightMask', async () => {
    const mask = BlockDiagonalMask.fromSeqlens([2, 1], [3, 2]).makeCausalFromBottomRight();
    await expectPicture(mask, ['11000', '11100', '00011']);
  });

  it('BlockDiagonalCausalLocalAttentionMask', async () => {
    const mask = BlockDiagonalMask.fromSeqlens([3, 1], [3, 2]).makeLocalAttention(2);
    await expectPicture(mask, ['10000', '11000', '01100', '00010']);
    const tall = BlockDiagonalMask.fromSeqlens([4], [2]).makeLocalAttention(3);
    await expectPicture(tall, ['10', '11', '11', '01']);
  });

  it('BlockDiagonalCausalLocalAttentionFromBottomRightMask', async () => {
    const blocks = BlockDiagonalMask.fromSeqlens([2, 1], [4, 2]);
    await expectPicture(blocks.makeLocalAttentionFromBottomRight(2), [
      '011000',
      '001100',
      '000011',
    ]);
    await expectPicture(blocks.makeLocalAttentionFromBottomRight(1), [
      '001000',
      '000100',
      '000001',
    ]);
  });

  it('BlockDiagonalPaddedKeysMask', async () => {
    const mask = BlockDiagonalPaddedKeysMask.fromSeqlens([1, 2], 3, [2, 1]);
    await expectPicture(mask, ['110000', '000100', '000100']);
    const empty = BlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], 2, [0, 2]);
    await expectPicture(empty, ['0000', '0011']);
  });

  it('BlockDiagonalCausalWithOffsetPaddedKeysMask', async () => {
    const mask = BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens([1, 2], 3, [2, 3]);
    await expectPicture(mask, ['110000', '000110', '000111']);
    const fewerKeys = BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens([3], 2, [1]);
    await expectPicture(fewerKeys, ['00', '00', '10']);
  });

  it('BlockDiagonalLocalAttentionPaddedKeysMask', async () => {
    const left = BlockDiagonalLocalAttentionPaddedKeysMask.fromSeqlensLocal(
      [1, 2],
      4,
      [2, 4],
      1,
      0,
    );
    await expectPicture(left, ['11000000', '00000110', '00000011']);
    const right = BlockDiagonalPaddedKeysMask.fromSeqlens([1, 2], 4, [2, 4]).makeLocalAttention(
      0,
      1,
    );
    expect(right).to.be.instanceOf(BlockDiagonalLocalAttentionPaddedKeysMask);
    await expectPicture(right, ['01000000', '00000011', '00000001']);
  });

  it('BlockDiagonalCausalLocalAttentionPaddedKeysMask', async () => {
    const window = (size: number) =>
      BlockDiagonalCausalLocalAttentionPaddedKeysMask.fromSeqlensLocal([1, 2], 4, [2, 4], size);
    await expectPicture(window(2), ['11000000', '00000110', '00000011']);
    await expectPicture(window(1), ['01000000', '00000010', '00000001']);
  });

  it('BlockDiagonalGappyKeysMask', async () => {
    const mask = BlockDiagonalGappyKeysMask.fromSeqlens([1, 2], [1, 4, 6], [2, 1]);
    await expectPicture(mask, ['011000', '000010', '000010']);
    const empty = BlockDiagonalGappyKeysMask.fromSeqlens([1, 1], [0, 2, 2], [1, 0]);
    await expectPicture(empty, ['10', '00']);
  });

  it('BlockDiagonalCausalWithOffsetGappyKeysMask', async () => {
    const mask = BlockDiagonalCausalWithOffsetGappyKeysMask.fromSeqlens([1, 2], [1, 4, 7], [2, 3]);
    await expectPicture(mask, ['0110000', '0000110', '0000111']);
  });

  it('PagedBlockDiagonalPaddedKeysMask: columns are rows of the key tensor', async () => {
    const tables = [
      [2, 0],
      [1, 1],
    ];
    const mask = PagedBlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], [3, 1], tables, 2);
    await expectPicture(mask, ['100011', '001000']);
    await expectPicture(mask, ['10001100', '00100000']);
    const made = BlockDiagonalPaddedKeysMask.fromSeqlens([1, 1], 5, [3, 1]).makePaged(tables, 2);
    expect(made).to.be.instanceOf(PagedBlockDiagonalPaddedKeysMask);
    await expectPicture(made, ['100011', '001000']);
    expect(made.plan(2, 6).blocks!.kStart).to.deep.equal([0, 0]);
  });

  it('PagedBlockDiagonalCausalWithOffsetPaddedKeysMask', async () => {
    const tables = [
      [2, 0],
      [1, 1],
    ];
    const Paged = PagedBlockDiagonalCausalWithOffsetPaddedKeysMask;
    await expectPicture(Paged.fromSeqlens([2, 1], [3, 1], tables, 2), [
      '000011',
      '100011',
      '001000',
    ]);
    const padded = BlockDiagonalCausalWithOffsetPaddedKeysMask.fromSeqlens([2, 1], 4, [3, 1]);
    const made = padded.makePaged(tables, 2);
    expect(made).to.be.instanceOf(Paged);
    await expectPicture(made, ['000011', '100011', '001000']);
  });

  it('materialize repeats the mask over the batch axes, and takes empty ones', async () => {
    const mask = new LowerTriangularMask();
    expect(await valuesOf(mask, [2, 1, 2, 2])).to.deep.equal([
      0,
      -Infinity,
      0,
      0,
      0,
      -Infinity,
      0,
      0,
    ]);
    for (const shape of [
      [0, 2, 2],
      [2, 0, 3],
      [3, 0],
    ]) {
      expect(await valuesOf(mask, shape)).to.deep.equal([]);
    }
  });

  it('packsSequences, bias and className say what an op must know', () => {
    const packed = BlockDiagonalMask.fromSeqlens([2]);
    expect(packed.packsSequences).to.equal(true);
    expect(packed.makeCausal().packsSequences).to.equal(true);
    expect(new LowerTriangularMask().packsSequences).to.equal(false);
    expect(new LowerTriangularMask().bias).to.equal(undefined);
    for (const [name, Mask] of Object.entries(attnBias)) expect(Mask.className).to.equal(name);
  });

  it('masks do not change with the arrays they were made of', () => {
    const lengths = [2, 1];
    const tables = [[1], [0]];
    const mask = BlockDiagonalPaddedKeysMask.fromSeqlens(lengths, 2, lengths).makePaged(tables, 2);
    lengths[0] = 9;
    tables[0]![0] = 9;
    expect(mask.plan(3, 4).blocks!.kLength).to.deep.equal([2, 1]);
    expect(mask.plan(3, 4).pages!.table).to.deep.equal([[1], [0]]);
    expect(mask.plan(3, 4)).to.equal(mask.plan(3, 8));
    expect(Object.isFrozen(mask.plan(3, 4).blocks!.kLength)).to.equal(true);
  });
});
