// SPDX-License-Identifier: Apache-2.0
/** Marks and tables of bench:webgpu, from results that are made up. */
import { expect } from 'chai';
import { titleOf } from '../../benchmarks/webgpu/cases.js';
import type { Case, ProviderName } from '../../benchmarks/webgpu/cases.js';
import { gridOf } from '../../benchmarks/webgpu/grid.js';
import type { GridName } from '../../benchmarks/webgpu/grid.js';
import { verdicts } from '../../benchmarks/webgpu/marks.js';
import { emptyResult } from '../../benchmarks/webgpu/measure.js';
import type { Result } from '../../benchmarks/webgpu/measure.js';
import { csv, markdown } from '../../benchmarks/webgpu/report.js';
import { backwardResults } from '../../benchmarks/webgpu/results.js';

type Seconds = (c: Case, provider: ProviderName) => number;

/** Every cell of a grid, each provider with its time. */
function results(grid: GridName, seconds: Seconds): Result[] {
  return gridOf(grid).flatMap((c) =>
    c.providers.map((provider) => {
      const time = seconds(c, provider);
      const bytes = provider === 'tfjs' ? 1000 : c.dtype === 'bfloat16' ? 50 : 100;
      const grown = 'queries' in c ? (bytes * c.queries) / 1024 : bytes;
      return {
        ...emptyResult(c, provider),
        ...{ rounds: [time, time], gpuSeconds: time, peakBytes: grown, dispatches: 3 },
        ...{ firstSeconds: 2, compileSeconds: 0.5, maxError: 1e-6 },
      };
    }),
  );
}

/** Fast enough for every mark: matmul 1 GFLOP/s, ours far above, peers far below. */
const excellent: Seconds = (c, provider) => {
  if (provider === 'WGSL matmul' || c.op === 'matmul') return 1e3;
  const factor = c.mode === 'forward' ? 1 : 3;
  return provider === 'tfjs-xformers' ? 1e-6 * factor : 1e-3 * factor;
};

const verdictOf = (all: Result[], software: boolean, mark: string, against: string) =>
  verdicts(all, software).find((v) => v.mark === mark && v.against === against)!;

describe('benchmarks: marks of bench:webgpu', () => {
  it('every mark finds its cells in its grid, and is met by what is fast enough', () => {
    for (const grid of ['software', 'hardware'] as const) {
      for (const v of verdicts(results(grid, excellent), grid === 'software')) {
        expect(v.verdict, `${grid}: ${v.mark}, ${v.measured}`).to.equal('met');
      }
    }
  });

  it('the worst cell decides', () => {
    const slowCell = (c: Case) => titleOf(c) === 'attention forward B1 H8 M512 D128 float32 causal';
    const all = results('hardware', (c, provider) =>
      slowCell(c) && provider === 'tfjs-xformers' ? 1e-3 : excellent(c, provider),
    );
    const { verdict, measured } = verdictOf(all, false, 'attention forward', 'onnxruntime-web');
    expect(verdict).to.equal('missed');
    expect(measured).to.match(/^1×, B1 H8 M512 D128 float32 causal; \d+ of \d+ cells$/);
  });

  it('within noise: the median misses the mark, a quarter of the rounds reaches it', () => {
    const all = results('software', excellent).map((result) => {
      const isMarked = titleOf(result.case) === 'attention forward B1 H4 M512 D64 float32 full';
      if (!isMarked || result.provider !== 'tfjs-xformers') return result;
      return { ...result, rounds: [1e-3 / 7, 1e-3 / 7, 1e-3 / 9, 1e-3 / 9, 1e-3 / 7] };
    });
    const peers = all.map((r) =>
      r.provider === 'tfjs' ? { ...r, rounds: Array(5).fill(1e-3) } : r,
    );
    expect(verdictOf(peers as Result[], true, 'attention forward', 'tfjs').verdict).to.equal(
      'within noise',
    );
  });

  it('bytes that were counted of a call that was not run count as well', () => {
    const all = results('software', excellent).map((result) => {
      const isLong = 'queries' in result.case && result.case.queries === 65_536;
      return isLong ? { ...result, rounds: [], failure: 'skipped: it would take long' } : result;
    });
    const mark = 'attention forward + backward, peak bytes of M 65536';
    expect(verdictOf(all, true, mark, 'M 16384').verdict).to.equal('met');
    const none = all.map((result) => (result.failure ? { ...result, peakBytes: NaN } : result));
    expect(verdictOf(none, true, mark, 'M 16384').verdict).to.equal('not measured');
  });

  it('bytes: too many, or growing faster than the length, are missed', () => {
    const all = results('hardware', excellent).map((r) => {
      const isLongest = 'queries' in r.case && r.case.queries === 65_536;
      return isLongest ? { ...r, peakBytes: 4 * r.peakBytes } : r;
    });
    const mark = 'attention forward + backward, peak bytes of M 65536';
    expect(verdictOf(all, false, mark, 'M 16384').verdict).to.equal('missed');
  });

  it('what was not timed is not measured', () => {
    const all = results('software', excellent).map((r) => emptyResult(r.case, r.provider, 'no'));
    for (const v of verdicts(all, true)) expect(v.verdict, v.mark).to.equal('not measured');
  });

  it('bytes of a block count where it is too slow to be timed', () => {
    const all = results('software', excellent).map((r) => ({ ...r, rounds: [] }));
    const mark = 'GPT block forward + backward, M 2048';
    expect(verdictOf(all, true, mark, 'tfjs').verdict).to.equal('not measured');
    expect(verdictOf(all, true, `${mark}, peak bytes`, 'tfjs').verdict).to.equal('met');
  });

  it('the backward pass is the difference of the two modes', () => {
    const all = results('quick', (c) => (c.mode === 'forward' ? 1 : 3));
    const backward = backwardResults(all);
    expect(backward.map(({ provider }) => provider)).to.include.members([
      'tfjs-xformers',
      'jax-js',
    ]);
    for (const { rounds, case: c } of backward) {
      expect(rounds).to.deep.equal([2]);
      expect(c.mode).to.equal('backward');
    }
  });
});

describe('benchmarks: tables of bench:webgpu', () => {
  const report = () => {
    const all = results('software', excellent);
    all[0] = { ...emptyResult(all[0]!.case, 'tfjs'), failure: 'wrong result, off by "1, or so"' };
    const heading = { adapter: 'made up', date: '2026-01-01', 'tfjs-xformers': '0.1.0' };
    return {
      ...{ results: all, verdicts: verdicts(all, true), heading, clock: 'wall' as const },
      ...{ commands: ['npm run bench:webgpu'], leavesOutPeer: false },
    };
  };

  it('CSV: one row for a case and provider, all of the same length, no NaN', () => {
    const [header, ...rows] = csv(report()).trimEnd().split('\n');
    const cells = (line: string) => line.replaceAll(/"(?:[^"]|"")*"/g, 'quoted').split(',').length;
    for (const row of rows) expect(cells(row), row).to.equal(cells(header!));
    expect(rows.join('\n')).not.to.match(/NaN|undefined|Infinity/);
    expect(rows[0]).to.include('"wrong result, off by ""1, or so"""');
  });

  it('Markdown: device, marks, a table for each op and mode, and why figures are missing', () => {
    const text = markdown(report());
    for (const part of [
      '# WebGPU: tfjs-xformers and its peers on made up',
      '| tfjs-xformers | 0.1.0 |',
      '## attention, forward + backward',
      '## attention, backward',
      '## model, forward',
      'tokens/s',
      '## Missing',
      '- Cells that are empty: nobody but tfjs-xformers',
      '- tfjs: wrong result',
    ]) {
      expect(text).to.include(part);
    }
    expect(text).not.to.match(/NaN|undefined/);
    const leftOut = 'onnxruntime-web was not asked for';
    expect(text).not.to.include(leftOut);
    expect(markdown({ ...report(), leavesOutPeer: true })).to.include(leftOut);
  });
});
