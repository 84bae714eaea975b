// SPDX-License-Identifier: Apache-2.0
/**
 * The browser entry in programs that start `webgpu` in unusual ways. Each is a process of its own, since imports leave
 * kernels behind; a cpu backend stands for the one of WebGPU, as only the kernels' registration matters.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const PRELUDE = `
import * as tf from '@tensorflow/tfjs-core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
console.warn = () => undefined;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ours = (name) => import(new URL(name, ${JSON.stringify(new URL('../../src/', import.meta.url).href)}).href);
const tell = (entry) => {
  const [kernel, portable] = ['webgpu', 'cpu'].map((name) => tf.getKernel('FusedNorm', name).kernelFunc);
  const reasons = entry.whyNotFused('fusedLayerNorm', [tf.zeros([1, 2])]);
  return { isPortable: kernel === portable, reasons };
};
`;

interface Told {
  isPortable: boolean;
  reasons: string[];
}

function run(program: string): Told[] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', PRELUDE + program],
    { cwd: fileURLToPath(new URL('../../', import.meta.url)), encoding: 'utf8' },
  );
  expect(status, stderr).to.equal(0);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Told[];
}

describe('the browser entry', function () {
  this.timeout(240_000);

  it('loads the WebGPU kernels where tf.ready() was already starting the backend', () => {
    const [before, after] = run(`
let start;
tf.registerBackend('webgpu', () => new Promise((resolve) => (start = resolve)), 9);
const started = tf.ready();
const entry = await ours('index_browser.ts');
start(new MathBackendCPU());
await started;
const before = tell(entry);
for (let i = 0; i < 600 && tell(entry).isPortable; i++) await sleep(100);
console.log(JSON.stringify([before, tell(entry)]));
`);
    expect(before!.isPortable).to.equal(true);
    expect(before!.reasons.join()).to.include('still being loaded');
    expect(after).to.deep.equal({ isPortable: false, reasons: [] });
  });

  it('beside the entry for Node brings the WebGPU kernels', () => {
    const [told] = run(`
const entry = await ours('index_browser.ts');
await ours('index.ts');
tf.registerBackend('webgpu', () => new MathBackendCPU(), 9);
await tf.setBackend('webgpu');
console.log(JSON.stringify([tell(entry)]));
`);
    expect(told).to.deep.equal({ isPortable: false, reasons: [] });
  });
});
