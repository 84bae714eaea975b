// SPDX-License-Identifier: Apache-2.0
/** The built library in processes that import it in different orders, twice, or without TensorFlow. */
import { cp } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { expect } from 'chai';
import { builtAddon } from '../../scripts/native/toolchain.mjs';
import type { NativeInfo } from '../../src/tensorflow/state.js';
import { NATIVE_OPS } from '../support/native_calls.js';
import { NODE_ENTRY, Programs, TFJS_NODE, pathIn, root } from '../support/program.js';
import type { Digests } from './every_op.js';
import { COUNT_OPS, EVERY_OP, RUN, RUN_EVERY_OP } from './programs.js';
import type { Run } from './programs.js';

describe('the built library', function () {
  this.timeout(120_000);

  const programs = new Programs('serving');
  let usual: Run;
  before(async () => {
    await programs.make();
    usual = (await programs.run<Run>('usual', RUN_EVERY_OP)).result;
    expect(usual.ops).to.deep.equal(NATIVE_OPS);
  });
  after(() => programs.remove());

  it('imported before tfjs-node: its kernels come into use', async () => {
    const lines = [NODE_ENTRY, TFJS_NODE, EVERY_OP, COUNT_OPS, 'const counts = countOps();'];
    const { result, warnings } = await programs.run<Run>('before', [...lines, `result = ${RUN};`]);
    expect(warnings).to.deep.equal([]);
    expect(result.native.loaded, result.native.reason).to.equal(true);
    expect(result.ops).to.deep.equal(NATIVE_OPS);
    expect(result.digests).to.deep.equal(usual.digests);
  });

  it('two copies of the package, and a second file of the library: one registration serves', async () => {
    await cp(new URL('src/', root), new URL('copy/src/', programs.folder), { recursive: true });
    await cp(builtAddon, pathIn(programs.folder, 'second.node'));
    const lines = [
      `import { createRequire } from 'node:module';`,
      ...RUN_EVERY_OP,
      `import * as other from '${pathIn(programs.folder, 'copy/src/node.ts')}';`,
      `const second = createRequire(import.meta.url)('./second.node').register();`,
      'result.second = { ok: second.ok, reused: second.reused };',
      'result.others = digestsOf(everyOp(other));',
      'result.again = digestsOf(everyOp(tfxf));',
    ];
    type Copies = Run & { second: object; others: Digests; again: Digests };
    const { result, warnings } = await programs.run<Copies>('copies', lines);
    expect(warnings).to.deep.equal([]);
    expect(result.second).to.deep.equal({ ok: true, reused: true });
    expect(result.ops).to.deep.equal(NATIVE_OPS);
    for (const digests of [result.digests, result.others, result.again]) {
      expect(digests).to.deep.equal(usual.digests);
    }
  });

  it('a second file of the library tells of the kernels that run, which are not its own', async () => {
    await cp(builtAddon, pathIn(programs.folder, 'later.node'));
    const { result } = await programs.run<{ first: NativeInfo; later: Partial<NativeInfo> }>(
      'told',
      [
        `import { createRequire } from 'node:module';`,
        TFJS_NODE,
        NODE_ENTRY,
        'const first = tfxf.info().native;',
        `process.env.TFXF_ISA = 'avx2';`,
        `process.env.TF_NUM_INTRAOP_THREADS = '1';`,
        `const { isa, threads } = createRequire(import.meta.url)('./later.node').register();`,
        'result = { first, later: { isa, threads } };',
      ],
      { TFXF_ISA: 'BASE-line', TF_NUM_INTRAOP_THREADS: '3' },
    );
    expect(result.first.isa, result.first.reason).to.equal('baseline');
    expect(result.first.threads).to.equal(3);
    expect(result.later).to.deep.equal({ isa: 'baseline', threads: 3 });
  });

  it('a TF_NUM_INTRAOP_THREADS of 0 counts as none: a thread for each processor', async () => {
    const lines = [TFJS_NODE, NODE_ENTRY, 'result = tfxf.info().native.threads;'];
    const { result } = await programs.run<number>('zero', lines, {
      TF_NUM_INTRAOP_THREADS: '0',
    });
    expect(result).to.equal(availableParallelism());
  });

  it('without tfjs-node: one warning, and portable kernels serve what backend there is', async () => {
    const lines = [
      `import * as tf from '@tensorflow/tfjs-core';`,
      `import '@tensorflow/tfjs-backend-cpu';`,
      NODE_ENTRY,
      'const values = [...tfxf.fusedLayerNorm(tf.tensor2d([1, 3], [1, 2])).dataSync()];',
      'result = { values, backend: tf.getBackend(), native: tfxf.info().native };',
    ];
    type Told = { values: number[]; backend: string; native: NativeInfo };
    const { result, warnings } = await programs.run<Told>('alone', lines);
    expect(result.backend).to.equal('cpu');
    expect(result.values[1]).to.be.closeTo(1, 1e-4);
    expect(result.native.loaded).to.equal(false);
    expect(result.native.reason).to.match(/TensorFlow is not in this process yet/);
    // tfjs has a warning of its own.
    const ours = warnings.filter((text) => text.startsWith('tfjs-xformers:'));
    expect(ours.length, ours.join('\n')).to.equal(1);
    expect(ours[0]).to.include('the native library waits');
  });
});
