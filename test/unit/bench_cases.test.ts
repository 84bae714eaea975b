// SPDX-License-Identifier: Apache-2.0
/** What the benchmarks count as work, and the grids of bench:webgpu. */
import { expect } from 'chai';
import { bytesOf, flopOf } from '../../benchmarks/shared/case.js';
import type { AttentionCase, Mode, RowCase } from '../../benchmarks/shared/case.js';
import { isModel, titleOf } from '../../benchmarks/webgpu/cases.js';
import type { Case } from '../../benchmarks/webgpu/cases.js';
import { gridOf } from '../../benchmarks/webgpu/grid.js';
import type { GridName } from '../../benchmarks/webgpu/grid.js';

const GRIDS: GridName[] = ['quick', 'software', 'hardware'];

function attention(mode: Mode, dtype: 'float32' | 'bfloat16' = 'float32'): AttentionCase {
  const size = { batch: 2, heads: 4, kvHeads: 1, queries: 16, keys: 16, dim: 8 };
  return { op: 'attention', ...size, causal: false, dtype, mode };
}

const rows = (op: RowCase['op'], mode: Mode): RowCase => ({
  ...{ op, mode, rows: 10, columns: 4, dtype: 'float32' },
});

describe('benchmarks: work of a case', () => {
  it('attention is 4 B H M M D operations forward, 2.5 times that backward', () => {
    const forward = 4 * 2 * 4 * 16 * 16 * 8;
    expect(flopOf(attention('forward'))).to.equal(forward);
    expect(flopOf(attention('backward'))).to.equal(2.5 * forward);
    expect(flopOf(attention('forward + backward'))).to.equal(3.5 * forward);
  });

  it('bytes are those of operands and results, once each, in the dtype', () => {
    const query = 2 * 16 * 4 * 8;
    const key = 2 * 16 * 1 * 8;
    expect(bytesOf(attention('forward'))).to.equal(4 * 2 * (query + key));
    expect(bytesOf(attention('forward', 'bfloat16'))).to.equal(2 * 2 * (query + key));
    expect(bytesOf(rows('layer norm', 'forward'))).to.equal(2 * 160);
    expect(bytesOf(rows('layer norm', 'forward + backward'))).to.equal(5 * 160);
    expect(bytesOf(rows('add layer norm', 'forward'))).to.equal(4 * 160);
  });

  it('a mode that has both is the sum of the two', () => {
    for (const make of [attention, (mode: Mode) => rows('add layer norm', mode)]) {
      for (const count of [flopOf, bytesOf]) {
        const parts = count(make('forward')) + count(make('backward'));
        expect(count(make('forward + backward'))).to.equal(parts);
      }
    }
  });
});

describe('benchmarks: grids of bench:webgpu', () => {
  it('every case has one title and somebody to compute it', () => {
    for (const name of GRIDS) {
      const cases = gridOf(name);
      expect(new Set(cases.map(titleOf)).size, name).to.equal(cases.length);
      for (const c of cases) expect(c.providers, titleOf(c)).not.to.have.length(0);
    }
  });

  it('the quick grid is part of the software one', () => {
    const software = gridOf('software').map(titleOf);
    expect(software).to.include.members(gridOf('quick').map(titleOf));
  });

  for (const grid of ['software', 'hardware'] as const) {
    it(`the ${grid} grid spans head sizes, lengths, masks, groups, decoding, rows and models`, () => {
      const cases = gridOf(grid);
      const attentions = cases.filter((c): c is Case & AttentionCase => c.op === 'attention');
      const values = (of: (c: AttentionCase) => unknown) => [...new Set(attentions.map(of))];
      expect(values(({ dim }) => dim)).to.include.members([32, 64, 128, 256]);
      expect(values(({ queries }) => queries)).to.include.members([128, 512, 2048, 4096, 16_384]);
      expect(values(({ window }) => window)).to.include.members([undefined, 1024]);
      expect(values(({ heads, kvHeads }) => heads / kvHeads)).to.have.members([1, 4]);
      const decoding = cases.filter((c): c is Case & AttentionCase => c.op === 'decoding');
      expect(new Set(decoding.map(({ queries, keys }) => `${queries} ${keys}`))).to.deep.equal(
        new Set(['1 4096', '8 4096', '1 32768', '8 32768']),
      );
      const columns = cases.filter((c) => c.op === 'layer norm').map((c) => (c as RowCase).columns);
      expect(columns).to.include.members([64, 8192]);
      expect(cases.filter(isModel).map(({ tokens }) => tokens)).to.include.members([256, 4096]);
    });
  }

  it('onnxruntime-web is never asked for gradients, and nobody but ours for bfloat16', () => {
    for (const c of GRIDS.flatMap(gridOf)) {
      if (c.mode !== 'forward') expect(c.providers).not.to.include('onnxruntime-web');
      if (c.dtype === 'bfloat16') {
        expect(['tfjs-xformers', 'copy kernel']).to.include.members([...c.providers]);
      }
    }
  });
});
