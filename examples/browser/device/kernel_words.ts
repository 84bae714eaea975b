// SPDX-License-Identifier: Apache-2.0
/** Which kernel is fused where, and where one is not, why. */
import * as tf from '@tensorflow/tfjs-core';

import { whyNotFused } from '../../../src/index.js';
import type { Info } from '../../../src/index.js';
import { make } from '../page/dom.js';
import { makeTable } from '../page/table.js';

const COLUMNS: Readonly<Record<string, string>> = {
  webgpu: 'WebGPU',
  webgl: 'WebGL',
  cpu: 'JavaScript',
};

/** Ops that are a few tfjs ops everywhere. */
const COMPOSED = ['mergeAttentions', 'rotaryEmbedding'];

function cell(form: string | undefined): HTMLElement {
  return form === 'fused'
    ? make('span', { class: 'yes' }, '● fused')
    : make('span', { class: 'no' }, '○ tfjs ops');
}

/** Why an op is not fused on the running backend: what keeps one op from it there keeps all. */
function reasonsFor(op: string): string[] {
  if (COMPOSED.includes(op)) return ['they touch too little data to need kernels of their own'];
  return tf.tidy(() => whyNotFused('fusedLayerNorm', [tf.zeros([1, 64])]));
}

export function kernelTable({ kernels }: Info): HTMLTableElement {
  const backends = Object.keys(COLUMNS).filter((name) => name in kernels);
  const ops = Object.keys(kernels[backends[0]!] ?? {});
  return makeTable({
    caption:
      'Fused: one kernel, forward and backward. tfjs ops: the same results from several ops, in chunks that bound their memory.',
    header: ['op', ...backends.map((name) => COLUMNS[name]!)],
    rows: ops.map((op) => [op, ...backends.map((name) => cell(kernels[name]![op]))]),
  });
}

/** Ops of the running backend by the reasons for which they are not fused. */
export function notFused({ kernels }: Info): { reason: string; ops: string[] }[] {
  const byReason = new Map<string, string[]>();
  for (const [op, form] of Object.entries(kernels[tf.getBackend()] ?? {})) {
    if (form === 'fused') continue;
    for (const reason of reasonsFor(op)) {
      byReason.set(reason, [...(byReason.get(reason) ?? []), op]);
    }
  }
  return Array.from(byReason, ([reason, ops]) => ({ reason, ops }));
}
