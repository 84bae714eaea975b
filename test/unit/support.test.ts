// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  BACKENDS,
  COMPOSED_OPS,
  FUSED_OPS,
  MAX_FUSED_HEAD_DIM,
  fallbackReasons,
  supportMatrix,
} from '../../src/spec/support.js';
import * as entry from '../../src/index.js';

describe('support matrix', () => {
  const rows = supportMatrix();

  it('has a row for each op, backend and dtype', () => {
    const ops = [...FUSED_OPS, ...COMPOSED_OPS];
    expect(rows.length).to.equal(ops.length * BACKENDS.length * 2);
    const names = rows.map(({ op, backend, dtype }) => `${op} ${backend} ${dtype}`);
    expect(new Set(names).size).to.equal(rows.length);
  });

  it('names public functions only', () => {
    for (const { op } of rows) expect(entry).to.have.property(op).that.is.a('function');
  });

  it('agrees with the reasons of a fall-back', () => {
    for (const op of FUSED_OPS) {
      for (const backend of BACKENDS) {
        const row = rows.find((each) => each.op === op && each.backend === backend)!;
        const reasons = fallbackReasons(backend, { op, dtype: 'float32' });
        expect(reasons.length === 0, `${op} on ${backend}`).to.equal(row.forward === 'fused');
      }
    }
  });

  it('has the head dim as its only limit on webgpu', () => {
    const reasons = (keyDim: number) =>
      fallbackReasons('webgpu', { op: 'memoryEfficientAttention', dtype: 'bfloat16', keyDim });
    expect(reasons(MAX_FUSED_HEAD_DIM)).to.deep.equal([]);
    expect(reasons(MAX_FUSED_HEAD_DIM + 1).join()).to.match(/head dim K is 257/);
  });
});
