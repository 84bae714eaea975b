// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
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
  });

  it('--version tells the version', () => {
    expect(command('--version')).to.deep.equal({ status: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  for (const args of [['brew'], [], ['info', 'more'], ['info', '--loud']]) {
    it(`refuses "${args.join(' ')}" with exit code 2 and a hint`, () => {
      const { status, stdout, stderr } = command(...args);
      expect(status).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^tfjs-xformers: .*\nTry: tfjs-xformers --help\n$/);
    });
  }

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
    expect(text).to.match(/tensorflow does not work {2}@tensorflow\/tfjs-node\n.*not installed/);
    expect(text).to.match(/webgpu {5}works .*4\.22\.0\n +fused: memoryEfficientAttention\n/);
    expect(text).to.match(/adapter {3}google, swiftshader \(a software adapter/);
    expect(text).to.match(/Native library: there is none\.\n +expected +a-package@1\.2\.3/);
  });

  it('has no line without content at its end', () => {
    for (const line of lines) expect(line).to.equal(line.trimEnd());
  });
});
