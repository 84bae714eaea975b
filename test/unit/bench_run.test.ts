// SPDX-License-Identifier: Apache-2.0
/** How bench:webgpu goes on when a runner dies, what it skips, and what its command line takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { isModel } from '../../benchmarks/webgpu/cases.js';
import type { Case } from '../../benchmarks/webgpu/cases.js';
import { coordinate, tryDevice } from '../../benchmarks/webgpu/coordinator.js';
import type { CoordinatorOptions, Outcome } from '../../benchmarks/webgpu/coordinator.js';
import { Feasibility, scoreBytes } from '../../benchmarks/webgpu/feasibility.js';
import { gather, merge, notGathered } from '../../benchmarks/webgpu/gathered.js';
import { gridOf } from '../../benchmarks/webgpu/grid.js';
import { emptyResult } from '../../benchmarks/webgpu/measure.js';
import { parseOptions } from '../../benchmarks/webgpu/options.js';
import type { Event, Request } from '../../benchmarks/webgpu/protocol.js';
import type { StartRunner } from '../../benchmarks/webgpu/runners/runner.js';

type Script = (request: Request, emit: (event: Event) => void) => string;

/** A runner that does what a script says, and then ends with the word that it returns. */
function scripted(script: Script): StartRunner {
  return (request, onEvent) => {
    const run = { stop: () => undefined };
    const ended = new Promise<string>((resolve) => {
      setTimeout(() => resolve(script(request, onEvent)));
    });
    return Promise.resolve({ ...run, ended });
  };
}

function options(start: StartRunner): CoordinatorOptions {
  return {
    start,
    command: 'npm run bench:webgpu',
    silenceSeconds: 60,
    settings: {
      settings: { rounds: 1, turnSeconds: 1, budgetSeconds: 1 },
      limits: { callSeconds: 1, caseSeconds: 1, memoryBytes: 1 },
      subgroups: true,
      matrices: false,
      known: [],
      peers: {},
    },
    onDevice: () => undefined,
    onCase: () => undefined,
    isOver: () => false,
  };
}

const DEVICE: Event = { type: 'device', heading: { adapter: 'made up' }, software: false };

/** Measures cases until it comes to the provider that is its death. */
const dyingOf =
  (deadly: string): Script =>
  ({ cases }, emit) => {
    emit(DEVICE);
    for (const { index, case: c } of cases) {
      for (const provider of c.providers) {
        emit({ type: 'start', index, provider });
        if (provider === deadly) return 'SIGSEGV';
      }
      const results = c.providers.map((provider) => ({ ...emptyResult(c, provider), rounds: [1] }));
      emit({ type: 'case', index, results });
    }
    emit({ type: 'done' });
    return 'exit code 0';
  };

const cases = gridOf('quick').slice(0, 2);

describe('benchmarks: coordinator', () => {
  let log: typeof console.log;
  beforeEach(() => {
    log = console.log;
    console.log = () => undefined;
  });
  afterEach(() => {
    console.log = log;
  });

  it('a provider that takes the runner down fails, all others are measured', async () => {
    const { results, heading } = await coordinate(cases, options(scripted(dyingOf('tfjs'))));
    expect(heading['adapter']).to.equal('made up');
    expect(results).to.have.length(cases.flatMap((c) => c.providers).length);
    for (const { provider, failure, rounds } of results) {
      if (provider === 'tfjs') expect(failure).to.equal('it took the runner down (SIGSEGV)');
      else expect(rounds).to.deep.equal([1]);
    }
    // Marks compare by the case: all results of one have the same.
    expect(new Set(results.map(({ case: c }) => c))).to.deep.equal(new Set(cases));
  });

  it('a lost device is told, and ends', async () => {
    const losing: Script = ({ cases: asked }, emit) => {
      emit(DEVICE);
      const { index, case: c } = asked[0]!;
      if (c.providers.length > 0) {
        emit({ type: 'start', index, provider: c.providers[0]! });
        emit({ type: 'lost', message: 'unknown: reset' });
        return 'exit code 0';
      }
      return dyingOf('none')({ cases: asked } as unknown as Request, emit);
    };
    const { results } = await coordinate(cases.slice(0, 1), options(scripted(losing)));
    for (const { failure } of results) {
      expect(failure).to.equal('the device was lost (unknown: reset)');
    }
  });

  it('a runner that dies between two cases does not keep the run from ending', async () => {
    const between: Script = ({ cases: asked }, emit) => {
      const { index, case: c } = asked[0]!;
      emit({ type: 'start', index, provider: c.providers[0]! });
      emit({ type: 'case', index, results: [emptyResult(c, c.providers[0]!, 'fine')] });
      return 'exit code 1';
    };
    const { results } = await coordinate(cases, options(scripted(between)));
    expect(new Set(results.map(({ case: c }) => c)).size).to.equal(2);
  });

  it('when the time is over the rest is left, and what there is is kept', async () => {
    let seen: Outcome | null = null;
    const outcome = await coordinate(cases, {
      ...options(scripted(dyingOf('none'))),
      onCase: (_c, _results, soFar) => (seen = soFar),
      isOver: () => seen !== null,
    });
    expect(new Set(outcome.results.map(({ case: c }) => c))).to.deep.equal(new Set([cases[0]]));
    expect(seen).to.equal(outcome);
  });

  it('no device is an error that says what the runner said', async () => {
    const fatal: Script = (_, emit) => {
      emit({ type: 'fatal', message: 'no adapter, install one' });
      return 'exit code 0';
    };
    for (const run of [
      () => tryDevice(options(scripted(fatal))),
      () => coordinate(cases, options(scripted(fatal))),
    ]) {
      const error = await run().then(
        () => null,
        (e: Error) => e,
      );
      expect(error?.message).to.equal('no adapter, install one');
    }
  });
});

describe('benchmarks: what is not tried', () => {
  const GIBIBYTE = 2 ** 30;
  const attention = gridOf('hardware').filter((c) => c.op === 'attention' && c.mode === 'forward');
  const find = (length: number) =>
    attention.find((c) => 'queries' in c && c.queries === length && c.heads === 8)!;
  const limits = { callSeconds: 2, caseSeconds: 60, memoryBytes: 6 * GIBIBYTE };

  it('compositions whose scores do not fit', () => {
    const c = find(16_384);
    expect(scoreBytes(c, 'tfjs')).to.equal(8 * GIBIBYTE);
    expect(scoreBytes(c, 'tfjs-xformers')).to.equal(0);
    const small = new Feasibility(limits, 2 * GIBIBYTE);
    expect(small.objection(c, 'tfjs')).to.match(/^skipped: its scores need a buffer of 8.0 GiB/);
    const large = new Feasibility(limits, 16 * GIBIBYTE);
    expect(large.objection(c, 'tfjs')).to.match(/^skipped: it would need about 32.0 GiB/);
    expect(large.objection(c, 'onnxruntime-web')).to.equal('');
  });

  it('calls that would take too long, by what smaller ones took', () => {
    const feasibility = new Feasibility(limits, GIBIBYTE);
    const learn = (c: Case, seconds: number) => feasibility.learn(c, 'tfjs-xformers', seconds);
    expect(feasibility.objection(find(4096), 'tfjs-xformers')).to.equal('');
    learn(find(1024), 0.2);
    expect(feasibility.objection(find(2048), 'tfjs-xformers')).to.equal('');
    expect(feasibility.objection(find(4096), 'tfjs-xformers')).to.match(/about 3 s/);
    learn(find(1024), 0.02);
    expect(feasibility.objection(find(4096), 'tfjs-xformers')).to.equal('');
  });

  it('calls that would take more than their part of the time of a case', () => {
    const patient = { ...limits, callSeconds: 100 };
    const c = find(2048);
    const objectionWith = (caseSeconds: number) => {
      const feasibility = new Feasibility({ ...patient, caseSeconds }, GIBIBYTE);
      feasibility.learn(find(1024), 'tfjs-xformers', 1);
      return feasibility.objection(c, 'tfjs-xformers');
    };
    // Four times the work: 4 s a call, 8 s before the rounds, for each of the providers.
    expect(objectionWith(7.9 * c.providers.length)).to.match(/about 4.0 s.*--budget/);
    expect(objectionWith(8.1 * c.providers.length)).to.equal('');
  });

  it('models that are like smaller ones, hidden scores included where they are computed', () => {
    const isMarked = (layers: number, tokens: number) => (c: Case) =>
      isModel(c) && c.layers === layers && c.tokens === tokens && c.mode === 'forward';
    const models = gridOf('software');
    const [small, large] = [models.find(isMarked(1, 256))!, models.find(isMarked(6, 2048))!];
    const feasibility = new Feasibility({ ...limits, caseSeconds: 1e4 }, GIBIBYTE);
    for (const provider of ['tfjs', 'tfjs-xformers'] as const)
      feasibility.learn(small, provider, 1);
    const seconds = (provider: 'tfjs' | 'tfjs-xformers') =>
      Number(/about (\d+) s/.exec(feasibility.objection(large, provider))![1]);
    // 8 times the tokens, 6 times the blocks; 64 times the pairs.
    expect(seconds('tfjs-xformers')).to.be.within(48, 96);
    expect(seconds('tfjs')).to.be.within(seconds('tfjs-xformers') + 10, 6 * 64);
  });
});

describe('benchmarks: options of bench:webgpu', () => {
  const defaults = { peers: 'peers', out: 'results' };
  const parse = (...args: string[]) => parseOptions(args, defaults);

  it('the grid follows the adapter, and --quick goes before it', () => {
    expect(parse().grid).to.equal('software');
    expect(parse('--adapter', 'hardware').grid).to.equal('hardware');
    expect(parse('--adapter', 'hardware', '--quick').grid).to.equal('quick');
  });

  it('a software adapter leaves out what wants a device without subgroups, unless asked', () => {
    expect(parse().provides('onnxruntime-web')).to.equal(false);
    expect(parse('--quick').provides('onnxruntime-web')).to.equal(false);
    expect(parse('--quick').provides('jax-js')).to.equal(true);
    expect(parse('--quick', '--providers', 'onnx').provides('onnxruntime-web')).to.equal(true);
    expect(parse('--quick', '--adapter', 'hardware').provides('onnxruntime-web')).to.equal(true);
  });

  it('says what a value has to be', () => {
    expect(() => parse('--adapter', 'gpu')).to.throw(RangeError, /--adapter is gpu; it has to be/);
    expect(() => parse('--in', 'firefox')).to.throw(RangeError, /node or chromium/);
    expect(() => parse('--rounds', '0')).to.throw(RangeError, /above 0/);
    expect(() => parse('--continue')).to.throw(RangeError, /wants --gather/);
  });
});

describe('benchmarks: results in parts', () => {
  const outcome = (c: Case, seconds: number): Outcome => ({
    commands: [`after ${seconds} s`],
    heading: { adapter: 'made up' },
    software: true,
    results: c.providers.map((provider) => ({ ...emptyResult(c, provider), rounds: [seconds] })),
  });

  it('are put together in the order of the grid, the newer ones in the places of the older', () => {
    const [first, second] = [cases[0]!, cases[1]!];
    const both = merge(outcome(second, 1), outcome(first, 2), cases);
    const again = merge(both, outcome({ ...second }, 3), cases);
    expect(again.results.map(({ rounds }) => rounds[0])).to.deep.equal([
      ...first.providers.map(() => 2),
      ...second.providers.map(() => 3),
    ]);
    expect(new Set(again.results.map(({ case: c }) => c))).to.deep.equal(new Set(cases));
    expect(again.commands).to.deep.equal(['after 1 s', 'after 2 s', 'after 3 s']);
  });

  it('go on with the cases that are not there yet, or not of all providers', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'bench-webgpu-test-'));
    const file = path.join(folder, 'all.json');
    try {
      expect(notGathered(file, cases)).to.deep.equal(cases);
      const [first, second] = [cases[0]!, cases[1]!];
      gather(file, outcome(first, 1), cases);
      gather(file, outcome({ ...second, providers: ['tfjs'] }, 1), cases);
      expect(notGathered(file, cases)).to.deep.equal([second]);
      expect(gather(file, outcome(second, 1), cases).results).to.have.length(
        first.providers.length + second.providers.length,
      );
      expect(notGathered(file, cases)).to.deep.equal([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
