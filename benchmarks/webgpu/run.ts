// SPDX-License-Identifier: Apache-2.0
/** The runner, wherever it runs: opens the device, makes the providers, measures one case after the other. */
import '@tensorflow/tfjs-backend-webgpu';
import { setBackend } from '@tensorflow/tfjs-core';
import { info, registerWebGPUBackend } from '../../src/index.js';
import { formulas as composition } from '../shared/tfjs_composition.js';
import { formulas as xformers } from '../shared/tfjs_xformers.js';
import type { ProviderName } from './cases.js';
import { describeDevice, openDevice } from './device.js';
import type { OpenDevice } from './device.js';
import { Feasibility } from './feasibility.js';
import { measureCase } from './measure.js';
import type { Emit, PeerModule, Request } from './protocol.js';
import type { Provider } from './provider.js';
import { jaxProvider } from './providers/jax.js';
import { copyProvider, matmulProvider } from './providers/limits.js';
import { fusedModel, plainModel } from './providers/model.js';
import { onnxruntimeProvider } from './providers/onnxruntime.js';
import { formulas as tfLayers } from './providers/tf_layers.js';
import { tfjsProvider } from './providers/tfjs.js';

type Providers = Map<ProviderName, Provider | string>;

async function peer(
  module: PeerModule | undefined,
  make: (url: string, version: string) => Promise<Provider>,
): Promise<Provider | string> {
  if (module === undefined || typeof module === 'string') return module ?? 'absent';
  try {
    return await make(module.url, module.version);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `absent: it does not start on this device (${reason.split('\n')[0]})`;
  }
}

async function makeProviders(open: OpenDevice, { peers }: Request): Promise<Providers> {
  const { device } = open;
  const { version, versions } = info();
  return new Map<ProviderName, Provider | string>([
    ['tfjs-xformers', tfjsProvider(xformers, { 'tfjs-xformers': version }, fusedModel)],
    ['tfjs', tfjsProvider(composition, versions, plainModel)],
    ['tf.layers', tfjsProvider(tfLayers, {})],
    ['copy kernel', copyProvider(device)],
    ['WGSL matmul', matmulProvider(device)],
    ['jax-js', await peer(peers['jax-js'], (...module) => jaxProvider(open, ...module))],
    [
      'onnxruntime-web',
      await peer(peers['onnxruntime-web'], (...module) => onnxruntimeProvider(device, ...module)),
    ],
  ]);
}

/** Runs all cases of the request. Never rejects: what goes wrong is an event. */
export async function runCases(request: Request, emit: Emit): Promise<void> {
  try {
    const open = await openDevice(request);
    const { device, software } = open;
    await registerWebGPUBackend({ device });
    await setBackend('webgpu');
    const providers = await makeProviders(open, request);
    const versions: Record<string, string> = {};
    for (const provider of providers.values()) {
      if (typeof provider !== 'string') Object.assign(versions, provider.versions);
    }
    await emit({ type: 'device', heading: { ...describeDevice(open), ...versions }, software });
    let lost = '';
    void device.lost.then(({ reason, message }) => (lost = `${reason}: ${message}`));
    const { settings, limits } = request;
    const feasibility = new Feasibility(limits, device.limits.maxStorageBufferBindingSize);
    for (const { case: c, provider, rounds } of request.known) {
      for (const seconds of rounds) feasibility.learn(c, provider, seconds);
    }
    for (const { index, case: c } of request.cases) {
      const announce = (provider: ProviderName) => emit({ type: 'start', index, provider });
      const results = await measureCase(c, { device, providers, feasibility, settings, announce });
      if (lost) {
        await emit({ type: 'lost', message: lost });
        return;
      }
      await emit({ type: 'case', index, results });
      globalThis.gc?.();
    }
    await emit({ type: 'done' });
  } catch (error) {
    await emit({ type: 'fatal', message: error instanceof Error ? error.message : String(error) });
  }
}
