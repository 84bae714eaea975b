// SPDX-License-Identifier: Apache-2.0
/** First version. */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { provideWebGPU } from '../scripts/node_webgpu.js';
import { titleOf } from './shared/case.js';
import { quantile } from './shared/statistics.js';
import type { Adapter } from '../scripts/node_webgpu.js';
import { quickCases } from './webgpu/cases.js';
import type { ProviderName } from './webgpu/cases.js';
import { describeDevice, openDevice } from './webgpu/device.js';
import { findPeer } from './webgpu/peers.js';
import type { PeerName } from './webgpu/peers.js';
import type { Provider } from './webgpu/provider.js';

const { values: options } = parseArgs({
  options: {
    adapter: { type: 'string', default: 'software' },
    only: { type: 'string', default: '' },
    providers: { type: 'string', default: '' },
    peers: { type: 'string', default: '.cache/peers' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
  },
});
await provideWebGPU(options.adapter as Adapter);
const { measureCase } = await import('./webgpu/measure.js');
const open = await openDevice();
console.log(describeDevice(open));
const { device } = open;
const wanted = new RegExp(options.providers);
await import('@tensorflow/tfjs-backend-webgpu');
const { registerWebGPUBackend } = await import('../src/index.js');
const tf = await import('@tensorflow/tfjs-core');
await registerWebGPUBackend({ device });
await tf.setBackend('webgpu');
const { tfjsProvider } = await import('./webgpu/providers/tfjs.js');
const { copyProvider, matmulProvider } = await import('./webgpu/providers/limits.js');
const providers = new Map<ProviderName, Provider | string>();
const peer = (name: PeerName) => {
  const found = findPeer(name, options.peers);
  if (typeof found === 'string') throw new Error(found);
  return [pathToFileURL(found.file).href, found.version] as const;
};
const makers: Record<ProviderName, () => Promise<Provider>> = {
  'tfjs-xformers': async () =>
    tfjsProvider((await import('./shared/tfjs_xformers.js')).formulas, {}),
  tfjs: async () => tfjsProvider((await import('./shared/tfjs_composition.js')).formulas, {}),
  'tf.layers': async () =>
    tfjsProvider((await import('./webgpu/providers/tf_layers.js')).formulas, {}),
  'jax-js': async () =>
    (await import('./webgpu/providers/jax.js')).jaxProvider(open, ...peer('@jax-js/jax')),
  'onnxruntime-web': async () =>
    (await import('./webgpu/providers/onnxruntime.js')).onnxruntimeProvider(
      device,
      ...peer('onnxruntime-web'),
    ),
  'copy kernel': () => Promise.resolve(copyProvider(device)),
  'WGSL matmul': () => Promise.resolve(matmulProvider(device)),
};
for (const [name, make] of Object.entries(makers)) {
  if (!wanted.test(name)) continue;
  try {
    providers.set(name as ProviderName, await make());
  } catch (error) {
    providers.set(name as ProviderName, `absent: ${(error as Error).message.split('\n')[0]}`);
  }
}
for (const c of quickCases().filter((one) => new RegExp(options.only).test(titleOf(one)))) {
  console.log(titleOf(c));
  const chosen = { ...c, providers: c.providers.filter((name) => wanted.test(name)) };
  const results = await measureCase(device, chosen, providers, {
    rounds: Number(options.rounds),
    turnSeconds: 0.1,
    budgetSeconds: 3,
  });
  for (const r of results) {
    const ms = (s: number) => (1000 * s).toFixed(1);
    console.log(
      `  ${r.provider.padEnd(16)}`,
      r.failure ||
        `${ms(quantile(r.rounds, 0.5))} ms (${ms(quantile(r.rounds, 0))}–${ms(quantile(r.rounds, 1))}) gpu ${ms(r.gpuSeconds)} first ${ms(r.firstSeconds)} ${(r.peakBytes / 2 ** 20).toFixed(1)} MiB ${r.dispatches} dispatches, error ${r.maxError.toExponential(1)}`,
    );
  }
}
process.exit(0);
