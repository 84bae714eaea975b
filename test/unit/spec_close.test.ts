// SPDX-License-Identifier: Apache-2.0
/** The tests' tools: the drawn inputs, and what the pass rule lets through. */
import { expect } from 'chai';
import { expectClose, expectSameBits, ulp } from '../support/close.js';
import { draw } from '../support/draw.js';

const FORWARD = { kind: 'forward', dtype: 'float32' } as const;

describe('draw', () => {
  it('gives the bits that the generator of the golden values gives', () => {
    const bits = new Uint32Array(draw(7, 4).buffer);
    expect(Array.from(bits)).to.deep.equal([3180707632, 3203243549, 1055024761, 1048639994]);
  });

  it('looks standard normal', () => {
    const values = draw(3, 20000);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(Math.abs(mean)).to.be.below(0.02);
    expect(Math.abs(variance - 1)).to.be.below(0.03);
  });
});

describe('expectClose', () => {
  it('passes what the rule allows, and infinities and NaN that are expected', () => {
    expectClose('x', [1 + 5e-5, -Infinity, NaN, 0], [1, -Infinity, NaN, 0], FORWARD);
    expectClose('x', [1 + 2 ** -7], [1], { kind: 'forward', dtype: 'bfloat16' });
    expectClose('x', [1.00019], [1], { kind: 'gradient', dtype: 'float32' });
    expectClose('x', [1.012], [1], { kind: 'gradient', dtype: 'bfloat16' });
    expectClose('x', [1e6 + 50], [1e6], { ...FORWARD, unit: 'largest' });
  });

  it('names the worst element, its value, error and ulps', () => {
    const call = () => expectClose('out', [1, 2.5, 3.001], [1, 2, 3], FORWARD);
    expect(call).to.throw(
      /^out: element 1 of 3 should be 2, got 2\.5: error 0\.500, .* float32 ulps/,
    );
  });

  it('rejects lengths, NaN and infinities that are not expected', () => {
    expect(() => expectClose('x', [1], [1, 2], FORWARD)).to.throw('1 values, expected 2');
    expect(() => expectClose('x', [NaN], [1], FORWARD)).to.throw('should be 1, got NaN');
    expect(() => expectClose('x', [1], [NaN], FORWARD)).to.throw('should be NaN, got 1');
    expect(() => expectClose('x', [-1e38], [-Infinity], FORWARD)).to.throw('should be -Infinity');
    expect(() => expectClose('x', [Infinity], [-Infinity], FORWARD)).to.throw('got Infinity');
    expect(() => expectClose('x', [1e-30], [0], { ...FORWARD, unit: 'largest' })).to.throw('x:');
  });

  it('compares with the naive composition where the rule fails', () => {
    const call = (naive: number) => () =>
      expectClose('x', [1.002], [1], { ...FORWARD, naive: () => [naive] });
    expect(call(1.0015)).to.not.throw();
    expect(call(1.0005)).to.throw('largest error is 0.000500');
  });

  it('knows the size of an ulp', () => {
    expect(ulp(1, 'float32')).to.equal(2 ** -23);
    expect(ulp(-1.99, 'bfloat16')).to.equal(2 ** -7);
    expect(ulp(4, 'bfloat16')).to.equal(2 ** -5);
    expect(ulp(0, 'float32')).to.equal(2 ** -149);
  });

  it('tells bits apart that compare as equal', () => {
    const zeros = (x: number) => Float32Array.from([x]);
    expect(() => expectSameBits('x', zeros(0), zeros(-0))).to.throw('element 0');
    expect(() => expectSameBits('x', zeros(NaN), zeros(NaN))).to.not.throw();
  });
});
