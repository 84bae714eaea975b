// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect } from 'chai';
import { info } from '../../src/index.js';
import * as entry from '../../src/index.js';
import * as nodeEntry from '../../src/node.js';

describe('info', () => {
  it('tells the version of package.json', async () => {
    const file = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(file) as { version: string };
    expect(info().version).to.equal(version);
  });

  it('tells versions, backends and kernels', async () => {
    await tf.setBackend('cpu');
    const told = info();
    expect(told.versions['@tensorflow/tfjs-core']).to.equal(tf.version_core);
    expect(told.backend).to.equal('cpu');
    expect(told.backends).to.include('cpu');
    expect(told.kernels['cpu']!['memoryEfficientAttention']).to.equal('portable');
    expect(told.kernels['cpu']!['mergeAttentions']).to.equal('portable');
    expect(Object.keys(told.kernels)).to.have.members(told.backends);
    expect(told.webgpu).to.equal(null);
  });

  it('is honest about the native library', () => {
    const { native, gpu } = info();
    expect(native.loaded).to.equal(false);
    expect(native.reason).to.match(/TensorFlow is not in this process/);
    expect(native.library).to.equal(null);
    expect(gpu).to.equal(null);
  });

  it('is plain data', () => {
    const told = info();
    expect(JSON.parse(JSON.stringify(told))).to.deep.equal(told);
  });
});

describe('the entry for Node', () => {
  it('has all that the main entry has', () => {
    expect(Object.keys(nodeEntry)).to.include.members(Object.keys(entry));
  });
});
