// SPDX-License-Identifier: Apache-2.0
/**
 * Finding and loading the native library. Each case is a process of its own, because its outcome is
 * final. Addons that do not fit are stood in for by files that begin as a shared library and go on as
 * JavaScript, in programs whose process.dlopen runs that.
 */
import { cp, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import type { NativeInfo } from '../../src/tensorflow/state.js';
import { VERSION } from '../../src/version.js';
import { NODE_ENTRY, Programs, TFJS_NODE, pathIn, root } from '../support/program.js';
import { skip } from '../support/report.js';

const programs = new Programs('native_library');
const scratch = programs.folder;

/** A status such as register() of the addon returns. */
const STATUS = {
  ok: true,
  reused: false,
  reason: '',
  tensorflow: '2.99.0',
  libtensorflow: '/somewhere/libtensorflow.so',
  isa: 'avx2',
  instructionSets: ['avx2', 'baseline'],
  threads: 3,
  abi: 1,
  gpu: '',
};

/** As long as the header of an ELF file, and such that no table of sections follows. */
const HEADER = Buffer.alloc(64);
HEADER.write('7f454c460201', 'hex');

/** Writes a module in the addon's place and returns its path. */
async function addon(name: string, body: string): Promise<string> {
  const file = new URL(`${name}.node`, scratch);
  await writeFile(file, Buffer.concat([HEADER, Buffer.from(body)]));
  return fileURLToPath(file);
}

/** Has a program take such files, of this folder, for addons. */
const STANDS_IN = `import '${pathIn(scratch, 'dlopen.mjs')}';`;
const DLOPEN = `import { readFileSync } from 'node:fs';
const { dlopen } = process;
process.dlopen = (module, file, ...more) => {
  if (!file.startsWith(${JSON.stringify(fileURLToPath(scratch))})) return dlopen.call(process, module, file, ...more);
  new Function('exports', readFileSync(file).subarray(${HEADER.length}).toString())(module.exports);
};
`;

const fakeAddon = (name: string, status: object): Promise<string> =>
  addon(name, `exports.register = () => (${JSON.stringify({ ...STATUS, ...status })});`);

/** JavaScript that would fit if it were run. */
async function notAnAddon(): Promise<string> {
  const file = new URL('script.cjs', scratch);
  await writeFile(file, `exports.register = () => (${JSON.stringify(STATUS)});`);
  return fileURLToPath(file);
}

interface Outcome {
  native: NativeInfo;
  warnings: string[];
  /** What the program added. */
  more?: unknown;
}

/** Runs a program that may set `more`, and tells what it warned of and what info().native was. */
async function outcome(name: string, lines: string[], library?: string): Promise<Outcome> {
  const { result, warnings } = await programs.run<Omit<Outcome, 'warnings'>>(
    name,
    [
      STANDS_IN,
      'let more;',
      ...lines,
      'await new Promise((resolve) => setTimeout(resolve, 20));',
      'result = { native: tfxf.info().native, more };',
    ],
    { TFJS_XFORMERS_NATIVE: library },
  );
  return { ...result, warnings };
}

describe('the native library', function () {
  this.timeout(60_000);

  before(async function () {
    await programs.make();
    await writeFile(new URL('dlopen.mjs', scratch), DLOPEN);
    if (!(await tensorFlowWorks())) skip(this, '@tensorflow/tfjs-node-gpu does not run');
  });
  after(() => programs.remove());

  it('a library that fits is loaded, and said to be', async () => {
    const file = await fakeAddon('fits', {});
    const { native, warnings } = await outcome('loaded', [TFJS_NODE, NODE_ENTRY], file);
    expect(warnings).to.deep.equal([]);
    expect(native).to.deep.equal({
      loaded: true,
      reason: `loaded from ${file}: avx2 kernels, 3 threads, TensorFlow 2.99.0`,
      tried: [{ from: 'TFJS_XFORMERS_NATIVE', path: file, outcome: 'loaded' }],
      expected: { abi: 1, package: `tfjs-xformers-${process.platform}-${process.arch}@${VERSION}` },
      library: file,
      abi: 1,
      isa: 'avx2',
      instructionSets: ['avx2', 'baseline'],
      threads: 3,
      tensorflow: '2.99.0',
      libtensorflow: '/somewhere/libtensorflow.so',
      gpu: null,
    });
  });

  it('why there are no CUDA kernels is said, and which device they serve', async () => {
    const none = await fakeAddon('no_gpu', { gpuReason: 'TensorFlow 2.99.0 has no GPU build' });
    const without = await outcome('no_gpu', [TFJS_NODE, NODE_ENTRY], none);
    expect(without.native.reason).to.match(
      /TensorFlow 2\.99\.0; no CUDA kernels: TensorFlow 2\.99\.0 has no GPU build$/,
    );
    expect(without.native.gpu).to.equal(null);
    const some = await fakeAddon('gpu', { gpu: 'a device', gpuReason: '' });
    const served = await outcome('gpu', [TFJS_NODE, NODE_ENTRY], some);
    expect(served.native.gpu).to.equal('a device');
    expect(served.native.reason).not.to.match(/CUDA/);
  });

  const unfit: [title: string, make: () => Promise<string>, words: RegExp][] = [
    [
      'no such file',
      () => Promise.resolve(pathIn(scratch, 'none.node')),
      /none\.node: no such file/,
    ],
    [
      'that is a folder',
      () => Promise.resolve(fileURLToPath(scratch)),
      /it cannot be read: EISDIR/,
    ],
    ['of another interface', () => fakeAddon('old', { abi: 0 }), /found interface 0, expected 1/],
    [
      'that TensorFlow refuses',
      () => fakeAddon('refused', { ok: false, reason: 'TF_NewKernelBuilder is missing' }),
      /TF_NewKernelBuilder is missing/,
    ],
    [
      'that cannot be loaded',
      () => addon('throws', `throw new Error('libc.so.6: version GLIBC_9.9 not found');`),
      /cannot be loaded: libc\.so\.6: version GLIBC_9\.9 not found/,
    ],
    ['of something else', () => addon('else', ''), /it is not an addon of tfjs-xformers/],
    ['that is no addon, and is not run', notAnAddon, /script\.cjs: it is no addon/],
  ];
  for (const [title, make, words] of unfit) {
    it(`a library ${title}: one warning, and the portable kernels serve`, async () => {
      const program = [
        TFJS_NODE,
        NODE_ENTRY,
        'const x = tf.tensor2d([1, 3], [1, 2]);',
        'const y = tfxf.fusedLayerNorm(x);',
        'const { kernels } = tfxf.info();',
        `more = [[...y.dataSync()], kernels.tensorflow.fusedLayerNorm, tfxf.whyNotFused('fusedLayerNorm', [x])];`,
      ];
      const { native, warnings, more } = await outcome('unfit', program, await make());
      expect(native.loaded).to.equal(false);
      expect(native.reason).to.match(words);
      expect(native.reason).to.match(/npm (run build:native|install)/);
      expect(native.tried.length).to.equal(1);
      expect(warnings.length, warnings.join('\n')).to.equal(1);
      expect(warnings[0]).to.match(words);
      const [values, form, reasons] = more as [number[], string, string[]];
      expect(values[1]).to.be.closeTo(1, 1e-4);
      expect(form).to.equal('portable');
      expect(reasons).to.deep.equal([native.reason]);
    });
  }

  for (const off of ['off', 'OFF', ' Off ']) {
    it(`TFJS_XFORMERS_NATIVE='${off}' switches it off`, async () => {
      const { native } = await outcome('off', [TFJS_NODE, NODE_ENTRY], off);
      expect(native.loaded).to.equal(false);
      expect(native.reason).to.match(/switched off by TFJS_XFORMERS_NATIVE=off/);
      expect(native.tried).to.deep.equal([]);
    });
  }

  it('imported before tfjs-node it is loaded all the same', async () => {
    const file = await fakeAddon('late', {});
    const program = [
      NODE_ENTRY,
      TFJS_NODE,
      `more = [tfxf.info().kernels.tensorflow.fusedLayerNorm, tfxf.whyNotFused('fusedLayerNorm', [tf.ones([2])])];`,
    ];
    const { native, warnings, more } = await outcome('before', program, file);
    expect(native.loaded).to.equal(true);
    expect(warnings).to.deep.equal([]);
    expect(more).to.deep.equal(['fused', []]);
  });

  it('without tfjs-node one warning says what it waits for, and it is loaded once that comes', async () => {
    const file = await fakeAddon('waits', {});
    const program = [
      NODE_ENTRY,
      'await new Promise((resolve) => setTimeout(resolve, 20));',
      'more = tfxf.info().native;',
      `await import('@tensorflow/tfjs-node-gpu');`,
    ];
    const { native, warnings, more } = await outcome('without', program, file);
    const waiting = more as NativeInfo;
    expect(waiting.loaded).to.equal(false);
    expect(waiting.reason).to.match(/TensorFlow is not in this process yet/);
    expect(waiting.tried).to.deep.equal([
      { from: 'TFJS_XFORMERS_NATIVE', path: file, outcome: 'found, not loaded yet' },
    ]);
    expect(warnings.length).to.equal(1);
    expect(warnings[0]).to.match(/Import '@tensorflow\/tfjs-node'/);
    expect(native.loaded).to.equal(true);
  });

  for (const when of ['before', 'after']) {
    it(`without tfjs-node and with calls on the cpu ${when} it warns: still one warning`, async () => {
      const call = 'tfxf.fusedLayerNorm(tf.ones([2, 2])).dispose();';
      const program = [
        `import * as tf from '@tensorflow/tfjs-core';`,
        `import '@tensorflow/tfjs-backend-cpu';`,
        NODE_ENTRY,
        `await tf.setBackend('cpu');`,
        ...(when === 'before' ? [call] : []),
        'await new Promise((resolve) => setTimeout(resolve, 20));',
        call,
      ];
      const { native, warnings } = await outcome(`cpu_${when}`, program);
      expect(native.loaded).to.equal(false);
      // tfjs has a warning of its own.
      const ours = warnings.filter((text) => text.startsWith('tfjs-xformers:'));
      expect(ours.length, ours.join('\n')).to.equal(1);
      expect(ours[0]).to.match(/TensorFlow is not in this process yet/);
    });
  }

  it('two copies of the package share one library', async () => {
    const copy = new URL('copy/', scratch);
    await cp(new URL('src/', root), new URL('src/', copy), { recursive: true });
    const file = await fakeAddon('shared', {});
    const program = [
      TFJS_NODE,
      NODE_ENTRY,
      `import * as other from '${pathIn(copy, 'src/node.ts')}';`,
      `import * as main from '${pathIn(copy, 'src/index.ts')}';`,
      `more = [other.info().native, main.whyNotFused('fusedLayerNorm', [tf.ones([2])])];`,
    ];
    const { native, warnings, more } = await outcome('copies', program, file);
    expect(warnings).to.deep.equal([]);
    expect(more).to.deep.equal([native, []]);
    expect(native.loaded).to.equal(true);
  });

  it('the main entry says how it is loaded', async () => {
    const index = NODE_ENTRY.replace('node.ts', 'index.ts');
    const program = [
      TFJS_NODE,
      index,
      `more = tfxf.whyNotFused('fusedLayerNorm', [tf.ones([2])]);`,
    ];
    const { native, more } = await outcome('main', program);
    expect(native.reason).to.match(/nothing asked for it/);
    expect((more as string[]).join()).to.match(/import 'tfjs-xformers\/node'/);
  });

  it('words of a bfloat16 tensor that was reshaped have the shape that they say', async () => {
    const program = [
      TFJS_NODE,
      NODE_ENTRY.replace('node.ts', 'index.ts'),
      'const before = tf.memory().numTensors;',
      'const shapes = tf.tidy(() => {',
      '  const x = tfxf.toBFloat16(tf.ones([4, 8])).reshape([4, 2, 4]);',
      '  return [x.packed.shape, tf.transpose(x.packed, [2, 0, 1]).shape];',
      '});',
      'more = [shapes, tf.memory().numTensors - before];',
    ];
    const { more } = await outcome('reshaped', program);
    expect(more).to.deep.equal([
      [
        [4, 2, 2],
        [2, 4, 2],
      ],
      0,
    ]);
  });
});
