// SPDX-License-Identifier: Apache-2.0
/**
 * Attention by subgroup matrices: random problems, and numbers that no float16 can be. Emulated (see variants.ts), and on
 * the device's own where it has some; golden cases run there, too.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { roundToBFloat16Values } from '../../src/bf16/rounding.js';
import { registerWebGPUBackend } from '../../src/index.js';
import { MATRIX_FEATURE, matrixTile } from '../../src/webgpu/matrix_tile.js';
import type { MatrixShape } from '../../src/webgpu/matrix_tile.js';
import { compiledPrograms } from '../../src/webgpu/pipelines.js';
import { assumeFacts, deviceFacts } from '../../src/webgpu/tuning.js';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose, expectSameBits } from '../support/close.js';
import { itUnless, shownInNode } from '../support/cost.js';
import { skip } from '../support/report.js';
import { referenceAttention, referenceAttentionGradients } from '../support/reference_attention.js';
import { runAttention, runAttentionGradients } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';
import type { SeededAttention } from '../support/seeded_attention.js';
import { SeededRandom } from '../support/seeded_random.js';
import { checkForward, checkGradients, title } from './attention.js';
import { randomAttention, withProblem } from './fuzz.js';

const GOLDEN = goldenAttentionCases.find(({ name }) => name === 'causal_k64_bf16')!;
/** With heads so small that all passes have a tile where factors take four bytes. */
const CASE: AttentionCase = {
  ...GOLDEN,
  name: 'causal, bfloat16',
  dims: [1, 96, 96, 2, 2, 32, 32],
};
/** Its gradients are as exact as those of float32, as no rounded output enters them. */
const EXACT = { ...CASE, outputDtype: 'float32' } as const;
const WIDTH = 2 * 32;
/** In the second tile of keys and of queries. */
const ROW = 40;

type Operand = 'query' | 'key' | 'value' | 'doutput';

/** The case with row ROW of an operand, or of the output's gradient, changed. */
function withRow(operand: Operand, change: (x: number) => number): SeededAttention {
  const s = seedAttention(CASE);
  const values = s[operand].slice();
  for (let i = ROW * WIDTH; i < (ROW + 1) * WIDTH; i++) values[i] = change(values[i]!);
  if (operand === 'doutput') return { ...s, doutput: values };
  const rounded = roundToBFloat16Values(values);
  return { ...s, [operand]: rounded, problem: { ...s.problem, [operand]: rounded } };
}

/** All of an operand a millionth of what it was. */
function withOther(s: SeededAttention, operand: 'query' | 'key' | null): SeededAttention {
  if (!operand) return s;
  const small = roundToBFloat16Values(s[operand].map((x) => 1e-6 * x));
  return { ...s, [operand]: small, problem: { ...s.problem, [operand]: small } };
}

const EIGHT = { rows: 8, columns: 8, inner: 8 };

/** Random problems with more than 16 queries, which are not shared out over the keys. */
function fuzzCases(component: 'f16' | 'f32', rounds: number): AttentionCase[] {
  const cases: AttentionCase[] = [];
  for (let seed = component === 'f16' ? 41000 : 42000; cases.length < rounds; seed++) {
    const c = randomAttention(new SeededRandom(seed), true);
    const { attnBias } = c;
    const longest = attnBias && 'qSeqlen' in attnBias ? Math.max(...attnBias.qSeqlen) : c.dims[1]!;
    if (longest <= 16 || (component === 'f16' && c.dtype === 'float32')) continue;
    cases.push({ ...c, name: `seed ${seed}` });
  }
  return cases;
}

const rowsBefore = (values: Float32Array) => values.slice(0, ROW * WIDTH);
const rowsAfter = (values: Float32Array) => values.slice((ROW + 1) * WIDTH);

/** What float16 factors cannot be, and what they could lose. */
function exactness(backend: TestBackend): void {
  for (const [what, fill] of [
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['1e30', 1e30],
  ] as const) {
    const name = `${what} in a key and its value changes no bit of the queries that do not see it`;
    itUnless(shownInNode(backend, what === 'NaN'), name, async () => {
      for (const operand of ['key', 'value'] as const) {
        const want = await runAttention(
          CASE,
          withRow(operand, () => 0),
        );
        const got = await runAttention(
          CASE,
          withRow(operand, () => fill),
        );
        expectSameBits(operand, rowsBefore(got.output), rowsBefore(want.output));
        if (Number.isFinite(fill)) continue;
        const seeing = Array.from(got.output.slice(ROW * WIDTH, (ROW + 1) * WIDTH));
        expect(seeing.some(Number.isFinite), operand).to.equal(false);
      }
    });

    const gradients = `${what}: gradients of queries and keys that do not see it have the same bits`;
    itUnless(shownInNode(backend), gradients, async () => {
      for (const operand of ['key', 'value', 'query', 'doutput'] as const) {
        const gradientsAt = (value: number) =>
          runAttentionGradients(
            CASE,
            withRow(operand, () => value),
          );
        const [want, got] = [await gradientsAt(0), await gradientsAt(fill)];
        const isOfKeys = operand === 'key' || operand === 'value';
        for (const name of isOfKeys ? (['query'] as const) : (['key', 'value'] as const)) {
          const rows = isOfKeys ? rowsBefore : rowsAfter;
          expectSameBits(`${operand}: of ${name}`, rows(got[name]!), rows(want[name]!));
          if (Number.isFinite(fill)) continue;
          const seeing = Array.from(got[name]!.slice(ROW * WIDTH, (ROW + 1) * WIDTH));
          // What becomes of a score that is no number is up to the device.
          const spoils = operand !== 'query';
          if (spoils) expect(seeing.every(Number.isFinite), `${operand}: ${name}`).to.equal(false);
        }
      }
    });
  }

  it('values beyond 65,504, and queries and keys beyond it, are as exact as others', async () => {
    for (const [operand, change] of [
      ['value', (x: number) => 1e6 * x],
      ['key', (x: number) => 1e6 * x],
      ['query', (x: number) => 1e6 * x],
    ] as const) {
      const s = withRow(operand, change);
      const run = await runAttention(CASE, s);
      const want = referenceAttention(s.problem);
      const rule = { kind: 'forward', dtype: 'bfloat16' } as const;
      expectClose(`${operand}: output`, run.output, want.output, rule);
      const forward = { kind: 'forward', dtype: 'float32' } as const;
      expectClose(`${operand}: logSumExp`, run.logSumExp!, want.logSumExp, forward);
    }
  });

  const factors = 'so are gradients, of moderate scores: what such a row is multiplied by is small';
  itUnless(shownInNode(backend), factors, async () => {
    for (const [operand, other, names] of [
      ['value', null, ['query', 'key', 'value']],
      ['key', 'query', ['query', 'value']],
      ['query', 'key', ['key', 'value']],
    ] as const) {
      const s = withOther(
        withRow(operand, (x) => 1e6 * x),
        other,
      );
      const got = await runAttentionGradients(EXACT, s);
      const want = referenceAttentionGradients(s.problem, s.doutput, null);
      for (const name of names) {
        expectClose(`${operand}: gradient of ${name}`, got[name]!, want[name]!, {
          ...{ kind: 'gradient', dtype: 'float32', unit: 'largest' },
        });
      }
    }
  });

  const powers =
    'gradients of any size: of 2^-60 and 2^40 times the output they have the same digits';
  itUnless(shownInNode(backend), powers, async () => {
    const s = seedAttention(CASE);
    const plain = await runAttentionGradients(CASE, s);
    for (const scale of [2 ** -60, 2 ** 40]) {
      const scaled = { ...s, doutput: s.doutput.map((x) => x * scale) };
      const got = await runAttentionGradients(CASE, scaled);
      for (const name of ['query', 'key', 'value'] as const) {
        const want = plain[name]!.map((x) => x * scale);
        expectSameBits(`2^${Math.log2(scale)}: of ${name}`, got[name]!, want);
      }
    }
  });

  const rows =
    'a query whose gradient is 1e12 times that of the others leaves them their precision';
  itUnless(shownInNode(backend), rows, async () => {
    const s = withRow('doutput', (x) => 1e12 * x);
    const got = await runAttentionGradients(EXACT, s);
    const want = referenceAttentionGradients(s.problem, s.doutput, null);
    const rule = { kind: 'gradient', dtype: 'float32' } as const;
    for (const name of ['key', 'value'] as const) {
      expectClose(`of ${name}`, rowsAfter(got[name]!), want[name]!.slice((ROW + 1) * WIDTH), rule);
    }
    for (const part of [rowsBefore, rowsAfter]) {
      const expected = part(Float32Array.from(want.query!));
      expectClose('of query', part(got.query!), Array.from(expected), rule);
    }
  });

  const weights =
    'weights far below float16 count: the first key has nearly all, the others large values';
  itUnless(shownInNode(backend), weights, async () => {
    const c = { ...GOLDEN, outputDtype: 'float32' } as const;
    const s = seedAttention(c);
    const isFirst = (i: number) => i < 2 * 64;
    // Scores of 0 and -18: weights of 1 and 1.5e-8.
    const changed = {
      query: s.query.map(() => 1),
      key: s.key.map((_, i) => (isFirst(i) ? 0 : -2.25)),
      value: roundToBFloat16Values(s.value.map((x, i) => (isFirst(i) ? x : 1e4 * x))),
    };
    const problem = { ...s.problem, ...changed };
    const run = await runAttention(c, { ...s, ...changed, problem });
    const rule = { kind: 'forward', dtype: 'float32' } as const;
    expectClose('output', run.output, referenceAttention(problem).output, rule);
  });
}

const device = () => (tf.backend() as unknown as { device: GPUDevice }).device;

const checkBoth = async (c: AttentionCase) => {
  await checkForward(c);
  await checkGradients(c);
};
const checkFuzz = (c: AttentionCase) => withProblem(c, () => checkBoth(c));

function emulated(backend: TestBackend): void {
  const assumeMatrices = (matrix: MatrixShape) =>
    assumeFacts(device(), { software: false, workgroupStorage: 32768, matrices: [matrix] });

  beforeEach(() =>
    assumeMatrices({ rows: 8, columns: 16, inner: 16, component: 'f16', emulated: 32 }),
  );
  afterEach(() => assumeFacts(device(), {}));

  for (const [component, rounds] of [
    ['f16', 3],
    ['f32', 3],
  ] as const) {
    for (const c of fuzzCases(component, rounds)) {
      const reason = shownInNode(backend);
      itUnless(reason, `fuzz · factors of ${component} · ${title(c)}`, async () => {
        const size = component === 'f16' ? { rows: 16, columns: 16, inner: 16 } : EIGHT;
        assumeMatrices({ ...size, component, emulated: 32 });
        await checkFuzz(c);
      });
    }
  }

  exactness(backend);

  it('all passes of the case have a tile, and its pipelines ran', () => {
    for (const pass of ['forward', 'dq', 'dkdv'] as const) {
      expect(matrixTile(deviceFacts(device()), pass, 'bfloat16', 32, 32), pass).not.to.equal(null);
    }
    const ran = compiledPrograms(device()).filter((key) => /"component":"f16"/.test(key));
    expect(ran).to.not.be.empty;
  });
}

/** On a device of its own: matrices are there only for who asks for them. */
function ofTheDevice(backend: TestBackend): void {
  let original: ReturnType<typeof tf.findBackendFactory> | null = null;

  before(async function () {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter?.features.has(MATRIX_FEATURE)) skip(this, 'the adapter has no subgroup matrices');
    original = tf.findBackendFactory('webgpu');
    await registerWebGPUBackend({ subgroupMatrices: true });
    if (deviceFacts(device()).matrices.length === 0) {
      skip(this, "the programs can use none of the adapter's subgroup matrices");
    }
  });

  after(async () => {
    if (!original) return;
    tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', original, 3);
    await tf.setBackend('webgpu');
  });

  for (const c of [...goldenAttentionCases, ...extraAttentionCases]) {
    it(title(c), () => checkBoth(c));
  }
  for (const component of ['f16', 'f32'] as const) {
    for (const c of fuzzCases(component, 10)) {
      it(`fuzz · dtypes of ${component} factors · ${title(c)}`, () => checkFuzz(c));
    }
  }

  exactness(backend);

  it('its pipelines ran', () => {
    const ran = compiledPrograms(device()).filter((key) => key.includes('"matrix":'));
    expect(ran).to.not.be.empty;
    const shapes = deviceFacts(device()).matrices.map(
      ({ rows, columns, inner, component }) => `${rows} x ${columns} x ${inner} ${component}`,
    );
    console.log(`        ${ran.length} pipelines of subgroup matrices ran (${shapes.join(', ')})`);
  });
}

export function suite(backend: TestBackend): void {
  if (backend.name !== 'webgpu') return;
  describe('subgroup matrices, emulated', function () {
    this.timeout(180000);
    emulated(backend);
  });
  describe('subgroup matrices of the device', function () {
    this.timeout(180000);
    ofTheDevice(backend);
  });
}
