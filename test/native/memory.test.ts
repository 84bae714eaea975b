// SPDX-License-Identifier: Apache-2.0
/** Memory over many calls: neither tensors nor the process grow. */
import '@tensorflow/tfjs-node-gpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import '../../src/node.js';
import * as tfxf from '../../src/index.js';
import { countOps, isOurs } from '../support/native_calls.js';
import { withoutLeak } from '../support/leaks.js';
import { everyOp } from './every_op.js';
import { attention, norm } from './raw_calls.js';
import { runRaw, vector } from './raw_op.js';

const OPS = 10_000;
/** What the heaps of JavaScript and of the C library may take more. One result a call would be 200 MB. */
const GROWTH = 48 * 2 ** 20;

describe('memory', function () {
  this.timeout(180_000);

  before(() => expect(tfxf.info().native.loaded, tfxf.info().native.reason).to.equal(true));

  /** Runs `f` until `count` says that enough ops ran, and tells by how many bytes the process grew. */
  async function growth(f: () => void, count: () => number): Promise<number> {
    const until = async (ops: number): Promise<void> => {
      for (const end = count() + ops; count() < end;) {
        f();
        // tfjs-node frees some of its memory only between turns of the event loop.
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await until(OPS / 5);
    const before = process.memoryUsage.rss();
    await until(OPS);
    return process.memoryUsage.rss() - before;
  }

  it(`${OPS} ops, forward and backward, leave no tensor and let the process grow by little`, () =>
    withoutLeak(async () => {
      const counts = countOps();
      const ours = (): number =>
        [...counts].reduce((sum, [name, n]) => sum + (isOurs(name) ? n : 0), 0);
      const grown = await growth(() => everyOp(tfxf), ours);
      expect(grown).to.be.below(GROWTH);
      expect(tf.memory().numTensors).to.equal(0);
    }));

  it('calls that are refused keep nothing either', async () => {
    let ops = 0;
    const short = { ...attention(), inputs: { ...attention().inputs, params: vector(1, 2) } };
    const wide = { ...norm(), attributes: { ...norm().attributes, columns: { int: 8 } } };
    const grown = await growth(
      () => {
        for (const call of [short, wide]) expect(() => runRaw(call)).to.throw(/Status: 3/);
        ops += 2;
      },
      () => ops,
    );
    expect(grown).to.be.below(GROWTH);
  });
});
