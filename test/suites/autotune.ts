// SPDX-License-Identifier: Apache-2.0
/** autotune: it measures and keeps on webgpu, does nothing elsewhere, and refuses what is no spec or store. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { autotune, fusedLayerNorm, info } from '../../src/index.js';
import type { WarmupSpec } from '../../src/index.js';
import { tableOf } from '../../src/webgpu/choices.js';
import { assumeFacts } from '../../src/webgpu/tuning.js';
import type { TestBackend } from '../support/backends.js';
import { withoutLeak } from '../support/leaks.js';

// C = 1000 is one that other tests use with several lanes.
const NORM: WarmupSpec = { op: 'fusedLayerNorm', shapes: [[5, 1000], [1000]] };

class MemoryStore {
  readonly entries = new Map<string, string>();
  getItem = (key: string) => this.entries.get(key) ?? null;
  setItem = (key: string, value: string) => void this.entries.set(key, value);
}

async function rejection(...args: unknown[]): Promise<Error> {
  try {
    await autotune(...(args as Parameters<typeof autotune>));
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

function onWebGPU(): void {
  const device = () => (tf.backend() as unknown as { device: GPUDevice }).device;

  beforeEach(() => {
    assumeFacts(device(), { software: false });
    tableOf(device()).clear();
  });

  afterEach(() => {
    assumeFacts(device(), {});
    tableOf(device()).clear();
  });

  it('measures, chooses one of the candidates, keeps it, and calls then use it', async () => {
    const store = new MemoryStore();
    const [choice, ...more] = await withoutLeak(() => autotune([NORM], { store }));
    expect(more).to.be.empty;
    expect(choice!.name).to.equal('norm, rows <=8, C 1000');
    expect(choice!.candidates).to.be.above(1);
    expect(choice!.seconds).to.be.above(0).and.at.most(choice!.preferredSeconds!);
    expect(info().webgpu!.tuned).to.deep.equal({ [choice!.name]: choice!.chosen });
    expect(store.entries.size).to.equal(1);
    const [[key, kept]] = [...store.entries] as [[string, string]];
    expect(key).to.include(info().version).and.include(info().webgpu!.adapter.vendor);
    expect(JSON.parse(kept)).to.deep.equal({ [choice!.name]: JSON.stringify(choice!.chosen) });
    const [normed] = await Promise.all([
      tf.tidy(() => fusedLayerNorm(tf.range(0, 1000).reshape([1, 1000]))).data(),
    ]);
    expect(normed[0]).to.be.closeTo(-normed[999]!, 1e-5).and.closeTo(-1.7303, 1e-3);
  });

  it('takes what a store holds without measuring; other entries of it are no matter', async () => {
    const store = new MemoryStore();
    await autotune([NORM], { store });
    const [key] = [...store.entries.keys()];
    const name = 'norm, rows <=8, C 1000';
    tableOf(device()).clear();
    const chosen = { by: 'lanes', lanes: 128, quads: 2 };
    const entry = { [name]: JSON.stringify(chosen), 'of another op': '{}' };
    store.setItem(key!, JSON.stringify(entry));
    const [choice] = await autotune([NORM], { store });
    expect(choice).to.deep.include({ name, chosen, seconds: null, preferredSeconds: null });
    tableOf(device()).clear();
    store.setItem(key!, JSON.stringify({ [name]: '3' }));
    expect((await autotune([NORM], { store }))[0]!.seconds).to.be.above(0);
  });

  it('a store that refuses to keep, or none, does not stop it', async () => {
    const refuses = () => {
      throw new Error('full');
    };
    for (const store of [{ getItem: () => 'damaged', setItem: refuses }, null]) {
      tableOf(device()).clear();
      expect(await autotune([NORM], { store })).to.have.length(1);
    }
  });
}

export function suite(backend: TestBackend): void {
  describe('autotune', function () {
    this.timeout(120000);

    it('refuses what is no list of specs, and what is no store', async () => {
      expect((await rejection(7)).message).to.match(/^autotune: specs must be an array, got 7/);
      const error = await rejection([NORM], { store: 7 });
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.match(/^autotune: options\.store .*getItem and setItem/);
      expect((await rejection([NORM], { stores: null })).message).to.match(/'stores'/);
    });

    if (backend.name === 'webgpu') onWebGPU();
    else {
      it('has nothing to measure', async () => {
        expect(await autotune([NORM])).to.deep.equal([]);
      });
    }
  });
}
