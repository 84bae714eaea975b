// SPDX-License-Identifier: Apache-2.0
/** The benchmarks' float64 reference, which computes samples, against the tests' own, which computes all. */
import { expect } from 'chai';
import { checkOutputs } from '../../benchmarks/shared/check.js';
import { visibleKeys, visiblePairs } from '../../benchmarks/shared/case.js';
import type { AttentionCase, Mode } from '../../benchmarks/shared/case.js';
import { drawInputs } from '../../benchmarks/shared/inputs.js';
import type { Arrays } from '../../benchmarks/shared/inputs.js';
import { expectedOf } from '../../benchmarks/shared/reference.js';
import { referenceAttention, referenceAttentionGradients } from '../support/reference_attention.js';
import type { AttentionProblem } from '../support/reference_attention.js';

function attentionCase(mode: Mode, changes: Partial<AttentionCase> = {}): AttentionCase {
  const size = { batch: 1, heads: 4, kvHeads: 2, queries: 9, keys: 9, dim: 8 };
  return { op: 'attention', ...size, causal: true, dtype: 'float32', mode, ...changes };
}

function problemOf(c: AttentionCase, { query, key, value }: Arrays): AttentionProblem {
  const { batch, queries, keys, heads, kvHeads, dim } = c;
  const allowed = new Uint8Array(queries * keys);
  for (let i = 0; i < queries; i++) allowed.fill(1, ...visibleKeys(c, i).map((j) => i * keys + j));
  return {
    ...{ batch, queries, keys, heads, kvHeads, keyDim: dim, valueDim: dim },
    ...{ query: query!, key: key!, value: value!, scale: 1 / Math.sqrt(dim), allowed },
  };
}

const float32 = (values: ArrayLike<number>) => Float32Array.from(values);

const MASKS: Record<string, Partial<AttentionCase>> = {
  full: { causal: false },
  causal: {},
  window: { window: 3 },
  'few queries, causal from the last key': { queries: 3, keys: 9 },
};

describe('benchmarks: reference', () => {
  for (const [name, changes] of Object.entries(MASKS)) {
    it(`forward, ${name}`, () => {
      const c = attentionCase('forward', changes);
      const inputs = drawInputs(c);
      const { output } = referenceAttention(problemOf(c, inputs));
      const { maxError, passes } = checkOutputs(
        c,
        'tfjs-xformers',
        { output: float32(output) },
        expectedOf(c, inputs),
      );
      expect(passes).to.equal(true);
      expect(maxError).to.be.below(1e-6);
    });

    it(`gradients of grouped heads, ${name}`, () => {
      const c = attentionCase('forward + backward', changes);
      const inputs = drawInputs(c);
      const all = referenceAttentionGradients(problemOf(c, inputs), inputs['doutput']!);
      const got = {
        dquery: float32(all.query),
        dkey: float32(all.key),
        dvalue: float32(all.value),
      };
      expect(checkOutputs(c, 'tfjs-xformers', got, expectedOf(c, inputs)).passes).to.equal(true);
    });
  }

  it('sees a wrong element, a NaN and a missing output', () => {
    const c = attentionCase('forward');
    const inputs = drawInputs(c);
    const expected = expectedOf(c, inputs);
    const right = float32(referenceAttention(problemOf(c, inputs)).output);
    const passes = (output?: Float32Array) =>
      checkOutputs(c, 'tfjs-xformers', output ? { output } : {}, expected).passes;
    expect(passes(right)).to.equal(true);
    for (const wrong of [right[0]! + 1e-3, NaN]) {
      const output = right.slice();
      output[0] = wrong;
      expect(passes(output)).to.equal(false);
    }
    expect(passes()).to.equal(false);
  });

  it('long cases have a sparse upstream gradient, whose rows and keys are all looked at', () => {
    const c = attentionCase('forward + backward', {
      heads: 1,
      kvHeads: 1,
      queries: 2048,
      keys: 2048,
    });
    const inputs = drawInputs(c);
    const rows = inputs['doutput']!.reduce(
      (count, x, n) => count + Number(n % 8 === 0 && x !== 0),
      0,
    );
    expect(rows).to.equal(128);
    const { dquery, dkey } = expectedOf(c, inputs);
    for (const { values } of [...dquery!, ...dkey!.slice(0, -1)]) {
      expect(Array.from(values).some((x) => x !== 0)).to.equal(true);
    }
  });

  it('counts visible pairs', () => {
    expect(visiblePairs(attentionCase('forward', { causal: false }))).to.equal(81);
    expect(visiblePairs(attentionCase('forward'))).to.equal(45);
    expect(visiblePairs(attentionCase('forward', { window: 3 }))).to.equal(1 + 2 + 7 * 3);
    expect(visiblePairs(attentionCase('forward', { queries: 2 }))).to.equal(8 + 9);
  });
});
