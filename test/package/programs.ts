// SPDX-License-Identifier: Apache-2.0
/** Programs of users, for the tests that open pages: what they import in which order, and how they start WebGPU. */
import { expect } from 'chai';
import { REPORT } from './chromium_page.js';

export interface Told {
  backend: string;
  /** What info() says of attention. */
  form: string;
  /** What whyNotFused says of it. */
  reasons: string[];
  values: number[];
  /** What was passed to console.warn. */
  warnings: string[];
}

const TFJS = "import * as tf from '@tensorflow/tfjs-core';";
const BACKEND = "import '@tensorflow/tfjs-backend-webgpu';";
const OURS = "import * as tfxf from 'tfjs-xformers';";

export const WARNINGS = `
const warnings = [];
console.warn = (text) => void warnings.push(text);
`;

/** `compute` answers two keys with scores 0 and ln 3, values 0 and 8: weights 1/4 and 3/4, so 6. */
export const COMPUTE = `
async function compute() {
  const shape = [1, 2, 1, 1];
  const [q, k, v] = [[1, 1], [0, Math.log(3)], [0, 8]].map((x) => tf.tensor4d(x, shape));
  const reasons = tfxf.whyNotFused('memoryEfficientAttention', [q, k, v]);
  const form = tfxf.info().kernels.webgpu.memoryEfficientAttention;
  const values = [...(await tfxf.memoryEfficientAttention(q, k, v).data())];
  return { backend: tf.getBackend(), form, reasons, values, warnings };
}
`;

const START = "await tf.setBackend('webgpu');";
const REGISTER = `await tfxf.registerWebGPUBackend();\n${START}`;

const program = (...lines: string[]) => [...lines, ''].join('\n');
const usual = (imports: string[], start: string) =>
  program(...imports, REPORT, WARNINGS, COMPUTE, start, 'await report(await compute());');

/** Each has to find fused kernels, by its name. */
export const PROGRAMS: Record<string, string> = {
  'backend first': usual([TFJS, BACKEND, OURS], START),
  'backend first, registered again': usual([TFJS, BACKEND, OURS], REGISTER),
  'backend last': usual([OURS, TFJS, BACKEND], START),
  'backend last, registered again': usual([OURS, TFJS, BACKEND], REGISTER),
};

/** This package comes into a page whose backend runs; what it answers before and after `ready()`. */
export const LATE = program(
  ...[TFJS, BACKEND, REPORT, WARNINGS, COMPUTE, START],
  "const tfxf = await import('tfjs-xformers');",
  'const half = tfxf.toBFloat16(tf.tensor1d([1, 2, 3.14159]));',
  'const before = { ...(await compute()), warnings: [...warnings] };',
  'await tfxf.ready();',
  'await report([before, await compute(), [...(await half.toFloat32().data())]]);',
);

/** The names of files and pages: programs have sentences. */
export const slugOf = (name: string) => name.replace(/\W+/g, '_');

export function expectValues({ backend, values }: Told): void {
  expect(backend).to.equal('webgpu');
  expect(values.length).to.equal(2);
  for (const value of values) expect(value).to.be.closeTo(6, 1e-4);
}

export function expectFused(told: Told): void {
  const { form, reasons, warnings } = told;
  expect({ form, reasons, warnings }).to.deep.equal({ form: 'fused', reasons: [], warnings: [] });
  expectValues(told);
}
