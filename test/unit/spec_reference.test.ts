// SPDX-License-Identifier: Apache-2.0
/** The tests' own references: against the golden values, and their gradients by differences. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { extraAttentionCases, goldenAttentionCases } from '../cases/attention.js';
import type { AttentionCase } from '../cases/attention.js';
import { extraNormCases, goldenNormCases } from '../cases/norm.js';
import { draw } from '../support/draw.js';
import { Golden } from '../support/golden.js';
import { referenceAttention, referenceAttentionGradients } from '../support/reference_attention.js';
import type { AttentionProblem } from '../support/reference_attention.js';
import { referenceNorm, referenceNormGradients } from '../support/reference_norm.js';
import type { NormProblem } from '../support/reference_norm.js';
import { readSafetensors } from '../support/safetensors.js';
import { seedAttention } from '../support/seeded_attention.js';
import { seedNorm } from '../support/seeded_norm.js';

function golden(file: string): Golden {
  const { buffer, byteOffset, byteLength } = readFileSync(
    new URL(`../golden/${file}.safetensors`, import.meta.url),
  );
  return new Golden(readSafetensors(buffer.slice(byteOffset, byteOffset + byteLength)));
}

/** The golden values are float64 results that were rounded to float32. */
function expectRounded(what: string, got: ArrayLike<number>, want: Float32Array): void {
  expect(got.length, what).to.equal(want.length);
  let largest = 0;
  let error = 0;
  for (let i = 0; i < want.length; i++) {
    if (got[i] === want[i]) continue;
    largest = Math.max(largest, Math.abs(want[i]!));
    error = Math.max(error, Math.abs(got[i]! - want[i]!));
  }
  expect(error, what).to.be.at.most(1e-7 * largest);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The derivative of `loss` at `values` along a drawn direction, by float64 differences. */
function expectDerivative(
  what: string,
  values: ArrayLike<number>,
  gradient: ArrayLike<number>,
  loss: (values: Float64Array) => number,
): void {
  const direction = draw(99, values.length);
  const moved = (step: number) => Float64Array.from(values, (x, i) => x + step * direction[i]!);
  const step = 1e-5;
  const measured = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
  const got = dot(gradient, direction);
  expect(Math.abs(got - measured), what).to.be.at.most(1e-6 * (1 + Math.abs(measured)));
}

/** Small cases of each kind; the references are slow. */
const SMALL = [
  'softcap, causal, bias',
  'sink, grouped heads, causal',
  'dropout, packed sequences',
  'logSumExp has a gradient: sink, softcap, dropout, bias',
  'logSumExp has a gradient: queries without keys',
  'bias BH1K',
  'bias 1111',
  'bool BHQK',
  'paged keys, causal, a page shared by two sequences',
];

function checkAttentionGradients(c: AttentionCase): void {
  const { problem, doutput, dlogSumExp } = seedAttention(c);
  const gradients = referenceAttentionGradients(problem, doutput, dlogSumExp);
  const lossOf = (changed: AttentionProblem): number => {
    const { output, logSumExp } = referenceAttention(changed);
    const finite = logSumExp.map((x) => (Number.isFinite(x) ? x : 0));
    return dot(output, doutput) + (dlogSumExp ? dot(finite, dlogSumExp) : 0);
  };
  for (const name of ['query', 'key', 'value'] as const) {
    expectDerivative(name, problem[name], gradients[name], (values) =>
      lossOf({ ...problem, [name]: values }),
    );
  }
  const { bias, sink } = problem;
  if (bias) {
    expectDerivative('bias', bias.values, gradients.bias!, (values) =>
      lossOf({ ...problem, bias: { values, shape: bias.shape } }),
    );
  }
  if (sink) {
    expectDerivative('sink', sink, gradients.sink!, (values) =>
      lossOf({ ...problem, sink: values }),
    );
  }
}

describe('reference attention', () => {
  const stored = golden('attention');
  for (const c of goldenAttentionCases.filter(({ rows }) => !rows)) {
    it(`equals the golden values · ${c.name}`, () => {
      const { problem, doutput } = seedAttention(c);
      const { output, logSumExp } = referenceAttention(problem);
      const gradients = referenceAttentionGradients(problem, doutput);
      expectRounded('out', output, stored.float32(`${c.name}/out`));
      expectRounded('lse', logSumExp, stored.float32(`${c.name}/lse`));
      expectRounded('dq', gradients.query, stored.float32(`${c.name}/dq`));
      expectRounded('dk', gradients.key, stored.float32(`${c.name}/dk`));
      expectRounded('dv', gradients.value, stored.float32(`${c.name}/dv`));
      if (gradients.bias) expectRounded('dbias', gradients.bias, stored.float32(`${c.name}/dbias`));
    });
  }

  for (const c of extraAttentionCases.filter(({ name }) => SMALL.includes(name))) {
    it(`has the gradients that differences give · ${c.name}`, () => checkAttentionGradients(c));
  }
});

describe('reference norm', () => {
  const stored = golden('layernorm');
  for (const c of goldenNormCases) {
    it(`equals the golden values · ${c.name}`, () => {
      const { problem, dy } = seedNorm(c);
      const gradients = referenceNormGradients(problem, dy);
      expectRounded('y', referenceNorm(problem).output, stored.float32(`${c.name}/y`));
      expectRounded('dx', gradients.x, stored.float32(`${c.name}/dx`));
      if (c.gamma) expectRounded('dgamma', gradients.gamma, stored.float32(`${c.name}/dgamma`));
      if (c.beta) expectRounded('dbeta', gradients.beta, stored.float32(`${c.name}/dbeta`));
    });
  }

  for (const c of extraNormCases) {
    it(`has the gradients that differences give · ${c.name}`, () => {
      const { problem, dy, dsum } = seedNorm(c);
      const gradients = referenceNormGradients(problem, dy, dsum);
      const lossOf = (changed: NormProblem): number => {
        const { output, sum } = referenceNorm(changed);
        return dot(output, dy) + (dsum ? dot(sum, dsum) : 0);
      };
      for (const name of ['x', 'residual', 'gamma', 'beta'] as const) {
        const values = problem[name];
        if (!values) continue;
        expectDerivative(name, values, gradients[name === 'residual' ? 'x' : name], (moved) =>
          lossOf({ ...problem, [name]: moved }),
        );
      }
    });
  }
});
