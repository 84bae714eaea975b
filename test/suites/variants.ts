// SPDX-License-Identifier: Apache-2.0
/**
 * WebGPU kernels come in variants chosen by device facts. The other suites run those that fit the
 * adapter at hand; this one makes every family of attention run on it, against the same references.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { compiledPrograms } from '../../src/webgpu/pipelines.js';
import { assumeFacts } from '../../src/webgpu/tuning.js';
import type { DeviceFacts } from '../../src/webgpu/tuning.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { skip } from '../support/report.js';
import { checkForward, checkGradients } from './attention.js';

interface Family {
  name: string;
  facts: Partial<DeviceFacts>;
  /** What the keys of its pipelines say of their tile. */
  tile: RegExp;
  cases: ReadonlySet<string>;
  /** Only the forward pass has them. */
  forwardOnly?: boolean;
  needs?: GPUFeatureName;
}

const CASES = new Set([
  'causal_k64',
  'gqa',
  'odd_dims',
  'local',
  'causal_br_tall_deadrows',
  'blockdiag_causal_br',
  'padded_keys_causal',
  'gappy_keys',
  'tensor_bias_neg_inf',
  'softcap, causal, bias',
  'dropout, packed sequences',
  'logSumExp has a gradient: sink, softcap, dropout, bias',
  'paged keys, dropout, bfloat16',
]);

/** The layouts of operands, of cases that are in CASES. */
const LAYOUTS: Record<string, 'BHMK' | 'packed'> = {
  gqa: 'BHMK',
  'softcap, causal, bias': 'packed',
};

/** The cases of a family, those of other layouts among them. */
function casesOf({ cases }: Family): AttentionCase[] {
  const named = [...goldenAttentionCases, ...extraAttentionCases].filter(({ name }) =>
    cases.has(name),
  );
  if (cases !== CASES) return named;
  const others = named.filter(({ name }) => name in LAYOUTS);
  return [...named, ...others.map((c) => ({ ...c, layout: LAYOUTS[c.name] }))];
}

const FEW_QUERIES = new Set([
  'few queries, seven heads of one key',
  'few queries: sink, softcap, dropout, bias',
  'few queries, keys of different lengths',
  'few queries, paged keys',
]);

const FAMILIES: Family[] = [
  {
    name: 'direct, each thread reads for itself',
    facts: { software: true, quads: false },
    tile: /"columnThreads":1,"quads":false/,
    cases: CASES,
  },
  {
    name: 'direct, quad operations',
    facts: { software: true },
    tile: /"columnThreads":1,"quads":true/,
    cases: CASES,
    needs: 'subgroups',
  },
  {
    name: 'tiled, 8 KiB of workgroup memory and 64 threads',
    facts: { software: false, workgroupStorage: 8192, maxInvocations: 64 },
    tile: /"rows":(8|16),.*"columnThreads":[48]/,
    cases: CASES,
  },
  {
    name: 'tiled, the largest tile',
    facts: { software: false },
    tile: /"rows":64,.*"columnThreads":8/,
    // Pipelines of this size take seconds to compile on a software adapter.
    cases: new Set(['causal_k64']),
  },
  {
    name: 'few queries, each thread by itself',
    facts: { software: true },
    tile: /^MemoryEfficientAttentionSplit.*"columnThreads":1,/,
    // The suites run the others so on this adapter.
    cases: new Set(['few queries, a window']),
    forwardOnly: true,
  },
  {
    name: 'few queries, 128 threads',
    facts: { software: false },
    tile: /^MemoryEfficientAttentionSplit.*"threads":128/,
    cases: FEW_QUERIES,
    forwardOnly: true,
  },
  {
    name: 'few queries, 8 KiB of workgroup memory and 64 threads',
    facts: { software: false, workgroupStorage: 8192, maxInvocations: 64 },
    tile: /^MemoryEfficientAttentionSplit.*"threads":64/,
    cases: new Set(['few queries, grouped heads']),
    forwardOnly: true,
  },
];

const NO_SUBGROUPS = 'the device has no subgroups';

function deviceOf(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}

export function suite(backend: TestBackend): void {
  if (backend.name !== 'webgpu') return;
  describe('variants by device', function () {
    this.timeout(180000);

    afterEach(() => assumeFacts(deviceOf(), {}));

    for (const family of FAMILIES) {
      const canRun = () => !family.needs || deviceOf().features.has(family.needs);
      for (const c of casesOf(family)) {
        it(`attention · ${family.name} · ${c.name} · ${c.layout ?? 'BMHK'}`, async function () {
          if (!canRun()) skip(this, NO_SUBGROUPS);
          assumeFacts(deviceOf(), family.facts);
          await checkForward(c);
          if (!family.forwardOnly) await checkGradients(c);
        });
      }
      it(`attention · ${family.name}: its pipelines ran`, function () {
        if (!canRun()) skip(this, NO_SUBGROUPS);
        const ran = compiledPrograms(deviceOf()).filter((name) => family.tile.test(name));
        expect(ran).to.not.be.empty;
        console.log(`        ${ran.length} pipelines of the family "${family.name}" ran`);
      });
    }
  });
}
