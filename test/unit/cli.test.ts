// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseCommand } from '../../src/cli/arguments.js';
import { isSound } from '../../src/cli/bench/bench.js';
import type { BenchReport } from '../../src/cli/bench/bench.js';
import { mistakeOf } from '../../src/cli/bench/check.js';
import { accuracyOf, exactAttention, exactNorm } from '../../src/cli/bench/exact.js';
import { OP_NAMES } from '../../src/cli/bench/op.js';
import { benchLines } from '../../src/cli/bench/report.js';
import type { Trial } from '../../src/cli/candidates.js';
import { infoLines } from '../../src/cli/info_report.js';
import type { InfoReport } from '../../src/cli/info_report.js';
import { notLoaded } from '../../src/tensorflow/state.js';
import { VERSION } from '../../src/version.js';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

function command(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', main, ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

describe('the command tfjs-xformers', () => {
  it('--help tells the commands', () => {
    const { status, stdout } = command('--help');
    expect(status).to.equal(0);
    expect(stdout).to.match(/Usage: tfjs-xformers <command>/);
    expect(stdout).to.match(/^ {2}info /m);
    expect(stdout).to.match(/^ {2}bench /m);
    for (const line of stdout.split('\n')) expect(line.length, line).to.be.at.most(100);
  });

  it('--version tells the version', () => {
    expect(command('--version')).to.deep.equal({ status: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  it('refuses what it does not understand with exit code 2 and a hint', () => {
    const { status, stdout, stderr } = command('info', '--loud');
    expect(status).to.equal(2);
    expect(stdout).to.equal('');
    expect(stderr).to.match(/^tfjs-xformers: .*--loud.*\nTry: tfjs-xformers --help\n$/);
  });

  it('info --json tells what each backend does here', function () {
    this.timeout(240_000);
    const { status, stdout } = command('info', '--json');
    expect(status).to.equal(0);
    const report = JSON.parse(stdout) as InfoReport;
    expect(report.version).to.equal(VERSION);
    const cpu = report.trials.find(({ backend }) => backend === 'cpu')!;
    expect(cpu.works, cpu.reason).to.equal(true);
    expect(cpu.kernels!['fusedLayerNorm']).to.equal('portable');
    for (const { works, reason } of report.trials) {
      if (!works) expect(reason).to.be.a('string').that.is.not.empty;
    }
  });
});

describe('the arguments of tfjs-xformers', () => {
  const mistakes: [args: string[], mistake: RegExp][] = [
    [[], /the commands are: info, bench; got no command/],
    [['brew'], /the commands are: info, bench; got 'brew'/],
    [['info', 'more'], /got 'info more'/],
    [['info', '--loud'], /^Unknown option '--loud'$/],
    [['info', '--op', 'causal'], /--op is an option of bench, not of info/],
    [['bench', '--op', 'attention,convolution'], /--op takes attention, .*; got 'convolution'/],
    [['bench', '--backend', 'cuda'], /--backend takes cpu, wasm, tensorflow, webgpu; got 'cuda'/],
    [['bench', '--backend', ''], /got ''/],
    [['bench', '--op'], /'--op <value>' argument missing/],
    [['bench', '--json=yes'], /'--json' does not take an argument/],
    [['bench', '--seconds', 'ten'], /--seconds takes a number from 1 to 600; got 'ten'/],
    [['bench', '--seconds', '0'], /got '0'/],
    [['bench', '--seconds', '1e9'], /got '1e9'/],
  ];
  for (const [args, mistake] of mistakes) {
    it(`"${args.join(' ')}" is refused, with the reason`, () => {
      const call = parseCommand(args);
      expect('mistake' in call ? call.mistake : call).to.match(mistake);
    });
  }

  it('are all understood', () => {
    expect(parseCommand(['bench'])).to.deep.equal({
      command: 'bench',
      json: false,
      options: { backends: null, ops: OP_NAMES, seconds: 6 },
    });
    const args = ['bench', '--json', '--op', 'qk-norm, causal', '--backend=webgpu,cpu'];
    expect(parseCommand([...args, '--seconds', '2.5'])).to.deep.equal({
      command: 'bench',
      json: true,
      options: { backends: ['cpu', 'webgpu'], ops: ['causal', 'qk-norm'], seconds: 2.5 },
    });
    expect(parseCommand(['info', '--json'])).to.deep.equal({ command: 'info', json: true });
    expect(parseCommand(['bench', '-h'])).to.deep.equal({ command: 'help' });
  });
});

describe('the report of tfjs-xformers bench', () => {
  const figures = { forward: 2, forwardBackward: 150, workingBytes: 5e6 };
  const accuracy = { rmsError: 1e-7, maxError: 4e-7 };
  const report: BenchReport = {
    version: '1.2.3',
    node: '20.0.0',
    platform: 'linux x64',
    processor: 'a processor, 2 threads',
    date: '2026-01-01T00:00:00.000Z',
    backends: [
      {
        backend: 'webgpu',
        facts: {
          package: '@tensorflow/tfjs-backend-webgpu',
          version: '4.22.0',
          kernels: 'fused',
          memory: 'GPU buffers',
          adapter: 'a GPU',
        },
        failure: 'the process that measured it ended with signal SIGSEGV',
        seconds: 1,
        ops: [
          {
            op: 'attention',
            title: 'attention',
            shape: '[1, 64, 8, 64]',
            rounds: 3,
            candidates: [
              { name: 'tfjs-xformers', ...figures, accuracy },
              {
                name: 'plain tfjs',
                forward: 8,
                forwardBackward: 300,
                workingBytes: 50e6,
                accuracy,
              },
            ],
          },
        ],
      },
    ],
    notInstalled: ['@tensorflow/tfjs-node'],
  };

  it('has times, memory, their ratios and errors', () => {
    const text = benchLines(report).join('\n');
    expect(text).to.match(/^webgpu: @tensorflow\/tfjs-backend-webgpu 4\.22\.0; a GPU; fused/m);
    expect(text).to.match(
      /^ {4}tfjs-xformers +2\.00 ms +4\.0× +150 ms +2\.0× +5\.00 MB +10\.0× +1\.0e-7 +4\.0e-7$/m,
    );
    expect(text).to.match(/^ {4}plain tfjs +8\.00 ms +300 ms +50\.0 MB +1\.0e-7 +4\.0e-7$/m);
    expect(text).to.match(/^ {2}ended early: .*SIGSEGV$/m);
    expect(text).to.match(/Not installed, so not measured: @tensorflow\/tfjs-node\.$/);
    for (const line of text.split('\n')) expect(line).to.equal(line.trimEnd());
  });

  it('without a backend names what brings those that were asked for, and no others', () => {
    const linesWithout = (...notInstalled: string[]) =>
      benchLines({ ...report, backends: [], notInstalled }).filter((line) => /install/.test(line));
    const heading =
      'None of the tfjs backends to measure is installed here. Each of these lines brings one:';
    expect(linesWithout('@tensorflow/tfjs-backend-wasm')).to.deep.equal([
      heading,
      '  npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm',
    ]);
    expect(linesWithout('@tensorflow/tfjs-backend-webgpu', 'webgpu')).to.deep.equal([
      heading,
      '  npm install @tensorflow/tfjs-backend-webgpu webgpu',
    ]);
  });

  it('is not sound with a wrong result, or without any', () => {
    expect(isSound(report)).to.equal(true);
    expect(isSound({ ...report, backends: [] })).to.equal(false);
    const wrong = structuredClone(report);
    wrong.backends[0]!.ops[0]!.candidates[0]!.failure = 'wrong: the output differs';
    expect(isSound(wrong)).to.equal(false);
  });

  it('is not sound where plain tfjs alone could be measured', () => {
    const plainOnly = structuredClone(report);
    plainOnly.backends[0]!.ops[0]!.candidates.shift();
    expect(isSound(plainOnly)).to.equal(false);
  });
});

describe('the accuracy that tfjs-xformers bench tells', () => {
  it('of a norm and of attention is that of the definitions', () => {
    const x = Float32Array.of(1, 3, 0, 4);
    const norm = { x, gamma: Float32Array.of(1, 2), beta: Float32Array.of(0, 1), epsilon: 0 };
    expect(exactNorm(norm)).to.deep.equal({
      starts: [0, 2],
      rows: [Float64Array.of(-1, 3), Float64Array.of(-1, 3)],
    });
    // Two keys with scores 0 and ln 3: weights 1/4 and 3/4.
    const exact = exactAttention({
      q: Float64Array.of(1, 1),
      k: Float64Array.of(0, Math.log(3)),
      v: Float64Array.of(0, 8),
      tokens: 2,
      heads: 1,
      headDim: 1,
      causal: true,
    });
    expect(exact.rows[0]).to.deep.equal(Float64Array.of(0));
    expect(exact.rows[1]![0]).to.be.closeTo(6, 1e-12);
  });

  it('is NaN where a result is', () => {
    const exact = { starts: [0], rows: [Float64Array.of(1, 2)] };
    expect(accuracyOf([1, 2.5], exact)).to.deep.equal({
      rmsError: Math.SQRT1_2 / 2,
      maxError: 0.5,
    });
    expect(accuracyOf([NaN, 2], exact).maxError).to.be.NaN;
  });

  it('comes after a comparison that notices a wrong value, a NaN and a wrong gradient', () => {
    const right = { output: Float32Array.of(1, 2), gradients: [Float32Array.of(3)] };
    const of = (output: number[], gradient: number[]) =>
      mistakeOf(
        { output: Float32Array.from(output), gradients: [Float32Array.from(gradient)] },
        right,
        1e-3,
      );
    expect(of([1, 2.001], [3.001])).to.equal(null);
    expect(of([1, 2.01], [3])).to.match(/^wrong: the output differs .* 5\.0e-3 of/);
    expect(of([NaN, 2], [3])).to.match(/^wrong: the output/);
    expect(of([1, 2], [NaN])).to.match(/^wrong: gradient 1/);
    expect(of([1], [3])).to.match(/^wrong: the output/);
  });
});

describe('the report of tfjs-xformers info', () => {
  const trials: Trial[] = [
    {
      backend: 'tensorflow',
      package: '@tensorflow/tfjs-node',
      version: null,
      works: false,
      reason: '@tensorflow/tfjs-node is not installed',
    },
    {
      backend: 'webgpu',
      package: '@tensorflow/tfjs-backend-webgpu',
      version: '4.22.0',
      works: true,
      kernels: { memoryEfficientAttention: 'fused', mergeAttentions: 'portable' },
      webgpu: {
        adapter: { vendor: 'google', architecture: 'swiftshader', device: '', description: '' },
        softwareAdapter: true,
        features: ['subgroups'],
        limits: { maxBufferSize: 1024 },
        compiledPrograms: 1,
        tuned: {},
      },
    },
  ];
  const lines = infoLines({
    version: '1.2.3',
    versions: { '@tensorflow/tfjs-core': '4.22.0' },
    node: '20.0.0',
    platform: 'linux x64',
    trials,
    native: notLoaded('there is none', { abi: 1, package: 'a-package@1.2.3' }),
    gpu: null,
  });

  it('says in plain words what works, and why the rest does not', () => {
    const text = lines.join('\n');
    expect(text).to.match(/tensorflow {2}not installed {2}@tensorflow\/tfjs-node\n.*not installed/);
    expect(text).to.match(/webgpu {6}works .*4\.22\.0\n +fused: memoryEfficientAttention\n/);
    expect(text).to.match(/adapter {3}google, swiftshader \(a software adapter/);
    expect(text).to.match(/Native library: there is none\.\n +expected +a-package@1\.2\.3/);
  });

  it('has no line without content at its end', () => {
    for (const line of lines) expect(line).to.equal(line.trimEnd());
  });
});
