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
import { blockCases, extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { itUnless, shownInNode } from '../support/cost.js';
import { skip } from '../support/report.js';
import { runAttentionGradients } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';
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
  const named = [...goldenAttentionCases, ...extraAttentionCases, ...blockCases].filter(
    ({ name }) => cases.has(name),
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

/** Subgroup matrices as 32 threads compute them without: no software adapter has any. */
function matrices(rows: number, columns: number, inner: number, component: 'f16' | 'f32') {
  return { rows, columns, inner, component, emulated: 32 };
}

/** Of bfloat16, which is exact in float16. */
const HALF_CASES = new Set([
  // The first: pages run it alone, and wider heads have no tile of dK and dV where factors take four bytes.
  'none_square_bf16',
  'causal_k64_bf16',
  'softcap and sink in bfloat16',
  'float32 out of bfloat16',
  'blocks of many queries, odd dims',
  'paged keys of many queries, dropout',
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
    name: 'subgroup matrices of 8 x 16 x 16 in float16, emulated',
    facts: { software: false, workgroupStorage: 32768, matrices: [matrices(8, 16, 16, 'f16')] },
    tile: /"matrix":\{"rows":8,"columns":16,.*"component":"f16"/,
    cases: HALF_CASES,
  },
  {
    name: 'subgroup matrices of 16 x 16 x 16 in float16, 16 KiB, emulated',
    facts: { software: false, workgroupStorage: 16384, matrices: [matrices(16, 16, 16, 'f16')] },
    tile: /"matrix":\{"rows":16,"columns":16,.*"component":"f16"/,
    cases: new Set(['gqa_bf16']),
  },
  {
    name: 'subgroup matrices of 8 x 8 x 8 in float32, emulated',
    facts: { software: false, workgroupStorage: 32768, matrices: [matrices(8, 8, 8, 'f32')] },
    tile: /"matrix":.*"component":"f32"/,
    cases: new Set(['causal_k64', 'k_ne_kv', 'tensor_bias_neg_inf', 'softcap, causal, bias']),
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

/** The programs of the passes that take products by matrices. */
const PASSES = [
  'MemoryEfficientAttention',
  'MemoryEfficientAttentionGradDkDv',
  'MemoryEfficientAttentionGradDq',
];

/** Of a compiled program, by its key. */
const nameOf = (key: string) => key.split(':')[0]!;

const NO_SUBGROUPS = 'the device has no subgroups';

function deviceOf(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}

export function suite(backend: TestBackend): void {
  if (backend.name !== 'webgpu') return;
  describe('variants by device', function () {
    this.timeout(180000);

    afterEach(() => assumeFacts(deviceOf(), {}));

    it("attention · tiled · an output's gradient of NaN reaches its query and the keys that it sees", async () => {
      assumeFacts(deviceOf(), { software: false, workgroupStorage: 8192, maxInvocations: 64 });
      const c = goldenAttentionCases.find(({ name }) => name === 'causal_k64')!;
      const s = seedAttention(c);
      const [row, width] = [40, s.doutput.length / s.shapes.output[1]!];
      const rowOf = (values: Float32Array, n: number) => values.slice(n * width, (n + 1) * width);
      const doutput = s.doutput.slice().fill(NaN, row * width, (row + 1) * width);
      const gradients = await runAttentionGradients(c, { ...s, doutput });
      for (const name of ['query', 'key', 'value'] as const) {
        const of = gradients[name]!;
        expect(rowOf(of, row).some(Number.isFinite), name).to.equal(false);
        const others = name === 'query' ? [0, row - 1, row + 1] : [row + 1];
        for (const n of others) expect(rowOf(of, n).every(Number.isFinite), name).to.equal(true);
      }
    });

    for (const family of FAMILIES) {
      const canRun = () => !family.needs || deviceOf().features.has(family.needs);
      for (const [n, c] of casesOf(family).entries()) {
        const reason = shownInNode(backend, n === 0);
        itUnless(
          reason,
          `attention · ${family.name} · ${c.name} · ${c.layout ?? 'BMHK'}`,
          async function () {
            if (!canRun()) skip(this, NO_SUBGROUPS);
            assumeFacts(deviceOf(), family.facts);
            await checkForward(c);
            if (!family.forwardOnly) await checkGradients(c);
          },
        );
      }
      it(`attention · ${family.name}: its pipelines ran`, function () {
        if (!canRun()) skip(this, NO_SUBGROUPS);
        const ran = compiledPrograms(deviceOf()).filter((name) => family.tile.test(name));
        expect(ran).to.not.be.empty;
        if (family.tile.source.includes('matrix')) {
          expect(ran.map(nameOf)).to.include.members(PASSES);
        }
        console.log(`        ${ran.length} pipelines of the family "${family.name}" ran`);
      });
    }
  });
}
