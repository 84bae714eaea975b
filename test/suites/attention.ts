// SPDX-License-Identifier: Apache-2.0
/** Attention against the golden values and against the float64 reference, forward and backward. */
import { expect } from 'chai';
import { extraAttentionCases, flopsOf, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { itUnless, repeated, tooSlow } from '../support/cost.js';
import { loadGolden } from '../support/golden.js';
import { inDType, naiveAttention, naiveAttentionGradients, once } from '../support/naive.js';
import { referenceAttention, referenceAttentionGradients } from '../support/reference_attention.js';
import { runAttention, runAttentionGradients } from '../support/run_attention.js';
import type { GradientName } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';

const GRADIENT_NAMES: readonly GradientName[] = ['query', 'key', 'value', 'bias', 'sink'];
const GOLDEN_NAMES: Partial<Record<GradientName, string>> = {
  query: 'dq',
  key: 'dk',
  value: 'dv',
  bias: 'dbias',
};

/** Those rows of axis 1 of a tensor whose axis 0 is 1, as the golden files of long cases have them. */
function rowsOf(
  values: ArrayLike<number>,
  length: number,
  rows: readonly number[] | null | undefined,
): ArrayLike<number> {
  if (!rows) return values;
  const width = values.length / length;
  return rows.flatMap((row) => Array.from({ length: width }, (_, i) => values[row * width + i]!));
}

/** The same for logSumExp [1, H, Mq]. */
function columnsOf(
  values: ArrayLike<number>,
  length: number,
  columns: readonly number[] | null | undefined,
): ArrayLike<number> {
  if (!columns) return values;
  return Array.from({ length: values.length / length }, (_, row) =>
    columns.map((column) => values[row * length + column]!),
  ).flat();
}

export function title(c: AttentionCase): string {
  const [b, mq, mk, h, g, k, v] = c.dims;
  const mask = c.attnBias ? ` · ${c.attnBias.type}` : '';
  return `${c.name} · B${b} M${mq}x${mk} H${h}/${g} D${k}/${v}${mask} · ${c.dtype}`;
}

/** How much larger than of standard normal inputs a result may be, with its rounding error. */
function unitOf(c: AttentionCase, name: GradientName | 'output'): number {
  const keyDim = c.dims[5]!;
  const steep = c.scale === null ? 1 : Math.max(1, Math.abs(c.scale) * Math.sqrt(keyDim));
  if (name === 'query') return steep;
  return name === 'key' ? steep * Math.max(1, c.qscale) : 1;
}

export async function checkGoldenForward(backend: TestBackend, c: AttentionCase): Promise<void> {
  const golden = await loadGolden(backend, 'attention');
  const s = seedAttention(c);
  const run = await runAttention(c, s);
  const [b, mq, , h] = c.dims;
  expect(run.outputShape).to.deep.equal(s.shapes.output);
  expect(run.outputDtype).to.equal(c.dtype);
  if (run.logSumExp) expect(run.logSumExpShape).to.deep.equal([b, h, mq]);
  const naive = naiveAttention(s, c.dtype);
  expectClose(
    `${c.name}: output`,
    rowsOf(run.output, mq!, c.rows),
    golden.float32(`${c.name}/out`),
    {
      kind: 'forward',
      dtype: c.dtype,
      unit: unitOf(c, 'output'),
      naive: () => rowsOf(inDType(naive().output, c.dtype), mq!, c.rows),
    },
  );
  if (!run.logSumExp) return;
  expectClose(
    `${c.name}: logSumExp`,
    columnsOf(run.logSumExp, mq!, c.rows),
    golden.float32(`${c.name}/lse`),
    {
      kind: 'forward',
      dtype: 'float32',
      unit: unitOf(c, 'output'),
      naive: () => columnsOf(inDType(naive().logSumExp, 'float32'), mq!, c.rows),
    },
  );
}

export async function checkGoldenGradients(backend: TestBackend, c: AttentionCase): Promise<void> {
  const golden = await loadGolden(backend, 'attention');
  const s = seedAttention(c);
  const gradients = await runAttentionGradients(c, s);
  const naive = naiveAttentionGradients(s, c.dtype);
  const [, mq, mk] = c.dims;
  for (const name of GRADIENT_NAMES) {
    const got = gradients[name];
    if (!got) continue;
    const pick = (values: ArrayLike<number>) => {
      if (name === 'query') return rowsOf(values, mq!, c.rows);
      return name === 'bias' ? values : rowsOf(values, mk!, c.kvRows);
    };
    const want = golden.float32(`${c.name}/${GOLDEN_NAMES[name]!}`);
    expectClose(`${c.name}: gradient of ${name}`, pick(got), want, {
      kind: 'gradient',
      dtype: c.dtype,
      unit: unitOf(c, name),
      naive: () => pick(inDType(naive()[name]!, c.dtype)),
    });
  }
}

export async function checkForward(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const run = await runAttention(c, s);
  const want = referenceAttention(s.problem);
  const naive = naiveAttention(s, c.dtype);
  const dtype = c.outputDtype ?? c.dtype;
  expect(run.outputShape).to.deep.equal(s.shapes.output);
  expect(run.outputDtype).to.equal(dtype);
  expectClose(`${c.name}: output`, run.output, want.output, {
    kind: 'forward',
    dtype,
    unit: unitOf(c, 'output'),
    naive: () => inDType(naive().output, dtype),
  });
  if (!run.logSumExp) return;
  expectClose(`${c.name}: logSumExp`, run.logSumExp, want.logSumExp, {
    kind: 'forward',
    dtype: 'float32',
    unit: unitOf(c, 'output'),
    naive: () => naive().logSumExp,
  });
}

export async function checkGradients(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const gradients = await runAttentionGradients(c, s);
  const want = once(() => referenceAttentionGradients(s.problem, s.doutput, s.dlogSumExp));
  const naive = naiveAttentionGradients(s, c.dtype);
  // A rounded output enters the gradient, through its product with doutput; so do rounded operands.
  const isRounded = c.outputDtype === 'bfloat16' || c.saveDtype === 'bfloat16';
  const dtype = isRounded ? 'bfloat16' : c.dtype;
  for (const name of GRADIENT_NAMES) {
    const got = gradients[name];
    if (!got) continue;
    expectClose(`${c.name}: gradient of ${name}`, got, want()[name]!, {
      kind: 'gradient',
      dtype,
      unit: unitOf(c, name),
      naive: () => inDType(naive()[name]!, dtype),
    });
  }
}

/** Cases that are run everywhere: one of each kind. */
const STANDING = new Set([
  'softcap, causal, bias',
  'softcap and sink in bfloat16',
  'sink, queries without keys',
  'dropout, packed sequences',
  'dropout in bfloat16',
  'logSumExp has a gradient: sink, softcap, dropout, bias',
  'rank 3, causal, bfloat16',
  'rank 5, key and value shared in the group',
  'bias BHQ1',
  'bool B11K',
  'paged keys, causal, a page shared by two sequences',
  'few queries: sink, softcap, dropout, bias',
  'bfloat16 out of float32',
  'float32 out of bfloat16',
  'a negative scale',
  'scores of 1e4',
]);

export function suite(backend: TestBackend): void {
  describe('attention', function () {
    this.timeout(60000);

    describe('golden', () => {
      for (const c of goldenAttentionCases) {
        const slow = tooSlow(backend, flopsOf(c));
        itUnless(slow, `${title(c)} · forward`, () => checkGoldenForward(backend, c));
        itUnless(slow, `${title(c)} · gradients`, () => checkGoldenGradients(backend, c));
      }
    });

    describe('against the float64 reference', () => {
      for (const c of extraAttentionCases) {
        const reason = repeated(backend, STANDING.has(c.name));
        itUnless(reason, `${title(c)} · forward`, () => checkForward(c));
        itUnless(reason, `${title(c)} · gradients`, () => checkGradients(c));
      }
    });
  });
}
