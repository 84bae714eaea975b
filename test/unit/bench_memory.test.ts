// SPDX-License-Identifier: Apache-2.0
/** What the benchmark counts as memory: bytes that are taken, on every backend of Node that keeps tensors itself. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { expect } from 'chai';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import { memoryKind, workingBytes } from '../../src/cli/bench/memory.js';
import { toBFloat16 } from '../../src/index.js';
import { skip } from '../support/report.js';

const VALUES = 10_000;

async function countsOf(backend: string): Promise<{ float32: number; bfloat16: number }> {
  await tf.setBackend(backend);
  const x = tf.ones([10, VALUES / 10]);
  const float32 = await workingBytes(() => [tf.neg(x)]);
  const bfloat16 = await workingBytes(() => [toBFloat16(x).packed]);
  x.dispose();
  return { float32, bfloat16 };
}

describe("the benchmark's count of memory", () => {
  it('has bfloat16 as two bytes on cpu, where tfjs has four', async () => {
    expect(await countsOf('cpu')).to.deep.equal({ float32: 4 * VALUES, bfloat16: 2 * VALUES });
    expect(memoryKind()).to.equal('tensors');
  });

  it('counts what is on the way to a result as well, on wasm', async () => {
    const { float32, bfloat16 } = await countsOf('wasm');
    expect(float32).to.equal(4 * VALUES);
    // Rounded values of four bytes, and their halves.
    expect(bfloat16).to.be.within(4 * VALUES, 8 * VALUES);
  });

  it('has bfloat16 as two bytes on tensorflow', async function () {
    if (!(await tensorFlowWorks())) skip(this, '@tensorflow/tfjs-node-gpu does not run');
    const program = `
import * as tf from '@tensorflow/tfjs-node-gpu';
import { workingBytes } from './src/cli/bench/memory.ts';
import { toBFloat16 } from './src/node.ts';
const x = tf.ones([10, ${VALUES / 10}]);
const counts = [await workingBytes(() => [tf.neg(x)]), await workingBytes(() => [toBFloat16(x).packed])];
console.log(JSON.stringify(counts));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      { cwd: fileURLToPath(new URL('../../', import.meta.url)), encoding: 'utf8' },
    );
    const counts: unknown = JSON.parse(stdout.trim().split('\n').at(-1) || stderr);
    expect(counts).to.deep.equal([4 * VALUES, 2 * VALUES]);
  });
});
