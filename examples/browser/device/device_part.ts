// SPDX-License-Identifier: Apache-2.0
/** The first part of the page: what this device can do, in plain words. */
import * as tf from '@tensorflow/tfjs-core';

import { info } from '../../../src/index.js';
import type { Info, WebGPUInfo } from '../../../src/index.js';
import { HEADS } from '../measure/sizes.js';
import { byId, make, onEvent } from '../page/dom.js';
import { notifyError } from '../page/notices.js';
import { makeTable } from '../page/table.js';
import { listWords } from '../page/words.js';
import { featureLines } from './feature_words.js';
import { kernelTable, notFused } from './kernel_words.js';
import { BACKENDS, BACKEND_WORDS } from './start_backend.js';
import type { StartedBackend } from './start_backend.js';

function adapterName({ adapter }: WebGPUInfo): string {
  const { vendor, architecture, device, description } = adapter;
  const words = [description, vendor, architecture, device].filter((word) => word !== '');
  return [...new Set(words)].slice(0, 2).join(', ') || 'an adapter that gives no name';
}

/** The sentence that says it all. */
function stateWords({ name, failures }: StartedBackend, { webgpu }: Info): string {
  const reasons = failures.map(
    (each) => `${BACKEND_WORDS[each.name]} does not work: ${each.reason}.`,
  );
  const uses = `tfjs computes with ${BACKEND_WORDS[name]}`;
  if (name !== 'webgpu' || !webgpu) {
    const same = 'Results are the same; kernels are not fused, so expect less speed.';
    return [...reasons, `${uses}. ${same}`].join(' ');
  }
  if (!webgpu.softwareAdapter) return `${uses} on ${adapterName(webgpu)}. All fused kernels run.`;
  return (
    `${uses} on ${adapterName(webgpu)}, a software adapter: the processor does a GPU’s work. ` +
    'All fused kernels run, slowly, so this page keeps its lengths and models small.'
  );
}

function fact(name: string, value: string): HTMLElement {
  return make('dl', {}, make('dt', {}, name), make('dd', {}, value));
}

function facts(started: StartedBackend, all: Info): HTMLElement[] {
  const { version, versions, webgpu, backends } = all;
  const others = BACKENDS.filter((name) => backends.includes(name) && name !== started.name);
  return [
    fact('Backend', BACKEND_WORDS[started.name]),
    ...(webgpu ? [fact('Adapter', adapterName(webgpu))] : []),
    fact('Also in this page', listWords(others.map((name) => BACKEND_WORDS[name]))),
    fact('Versions', `tfjs-xformers ${version}, tfjs ${versions['@tensorflow/tfjs-core']}`),
  ];
}

function scroller(label: string, table: HTMLTableElement): HTMLElement {
  return make(
    'div',
    { class: 'scroller', role: 'region', tabindex: '0', 'aria-label': label },
    table,
  );
}

function features(webgpu: WebGPUInfo): HTMLElement[] {
  const table = makeTable({
    caption: 'Features and limits beyond what every WebGPU device has.',
    header: ['feature', 'here', 'what it brings'],
    rows: featureLines(webgpu, HEADS).map(({ name, has, brings }) => [name, has, brings]),
    isWords: true,
  });
  return [make('h3', {}, 'What the device brings'), scroller('Features of the device', table)];
}

function kernels(all: Info): HTMLElement[] {
  const reasons = notFused(all).map(({ reason, ops }) =>
    make(
      'p',
      { class: 'fine' },
      `${listWords(ops)} ${ops.length > 1 ? 'run' : 'runs'} as tfjs ops: ${reason}.`,
    ),
  );
  return [
    make('h3', {}, 'Which kernels are fused'),
    scroller('Kernels by backend', kernelTable(all)),
    ...reasons,
  ];
}

/** Fills the part. To be called again when there is another device. */
export function showDevice(started: StartedBackend): void {
  const all = info();
  byId('device-state', HTMLElement).textContent = stateWords(started, all);
  byId('device-facts', HTMLElement).replaceChildren(...facts(started, all));
  byId('device-features', HTMLElement).replaceChildren(...(all.webgpu ? features(all.webgpu) : []));
  byId('device-kernels', HTMLElement).replaceChildren(...kernels(all));
  const part = byId('device', HTMLElement);
  part.setAttribute('aria-busy', 'false');
  part.dataset['backend'] = tf.getBackend();
}

/** The choice of a backend starts the page anew: what is on the old one would be lost anyway. */
export function connectBackendChoice(wanted: string | null): void {
  const choice = byId('backend', HTMLSelectElement);
  choice.value = wanted ?? '';
  const restart = () => {
    const url = new URL(location.href);
    if (choice.value === '') url.searchParams.delete('backend');
    else url.searchParams.set('backend', choice.value);
    location.assign(url);
  };
  onEvent(byId('backend-form', HTMLFormElement), 'submit', restart, notifyError);
}
