// SPDX-License-Identifier: Apache-2.0
/** The command `tfjs-xformers` as it is published, in folders with more and with fewer packages. */
import { spawn, spawnSync } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { findSwiftShader } from '../../scripts/setup/chromium.mjs';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import type { BackendBench, BenchReport } from '../../src/cli/bench/bench.js';
import type { InfoReport } from '../../src/cli/info_report.js';
import { VERSION } from '../../src/version.js';
import { skip } from '../support/report.js';
import { UserFolder, isNative } from './user_folder.js';

const TFJS = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers', '@tensorflow/tfjs-backend-cpu'];

describe('the published command', function () {
  this.timeout(180_000);

  /** Has tfjs with its `cpu` backend. */
  let user: UserFolder;
  /** Has all that this checkout has. */
  let rich: UserFolder;
  const mainOf = (folder: UserFolder) => folder.installed('tfjs-xformers/dist/cli/main.js');

  function run(folder: UserFolder, args: string[], env: NodeJS.ProcessEnv = {}) {
    const options = {
      cwd: folder.path,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    } as const;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [mainOf(folder), ...args],
      options,
    );
    return { status, stdout, stderr };
  }

  /** The report of a benchmark that has to succeed: its whole stdout is one JSON document. */
  function bench(folder: UserFolder, args: string[], env: NodeJS.ProcessEnv = {}): BackendBench[] {
    const { status, stdout, stderr } = run(folder, ['bench', '--json', ...args], env);
    expect(status, `${stdout}\n${stderr}`).to.equal(0);
    expect(stderr).to.equal('');
    return (JSON.parse(stdout) as BenchReport).backends;
  }

  before(async () => {
    user = await UserFolder.make(TFJS);
    rich = await UserFolder.make(['@tensorflow', 'webgpu']);
  });
  after(() => Promise.all([user.remove(), rich.remove()]));

  it('tells the version', () => {
    expect(run(user, ['--version'])).to.deep.equal({
      status: 0,
      stdout: `${VERSION}\n`,
      stderr: '',
    });
  });

  it('info tells what is there and what to install', () => {
    const { status, stdout } = run(user, ['info', '--json']);
    expect(status).to.equal(0);
    const { trials } = JSON.parse(stdout) as InfoReport;
    expect(trials.filter(({ works }) => works).map(({ backend }) => backend)).to.deep.equal([
      'cpu',
    ]);
    for (const { backend, package: name, works, version, reason } of trials) {
      expect(version).to.equal(works ? '4.22.0' : null);
      const missing = backend === 'webgpu' ? [name, 'webgpu'] : [name];
      const verb = missing.length === 1 ? 'is' : 'are';
      const mend = `not installed: npm install ${missing.join(' ')}`;
      if (!works) expect(reason).to.equal(`${missing.join(' and ')} ${verb} ${mend}`);
    }
  });

  it('says that tfjs is missing where it is', async () => {
    const poor = await UserFolder.make([]);
    for (const name of ['info', 'bench']) {
      const { status, stdout, stderr } = run(poor, [name]);
      // Nothing of bench needs tfjs until a backend is there to be measured.
      expect(stdout + stderr, name).to.match(/npm install @tensorflow\/tfjs/);
      expect(status, name).to.equal(1);
    }
    expect(run(poor, ['--help']).status).to.equal(0);
    await poor.remove();
  });

  it('bench --json measures speed, memory and accuracy of what is installed', () => {
    const backends = bench(user, ['--op', 'rms-norm,qk-norm', '--seconds', '2']);
    expect(backends.map(({ backend }) => backend)).to.deep.equal(['cpu']);
    const [{ facts, ops, failure }] = backends as [BackendBench];
    expect(failure).to.equal(null);
    expect(facts).to.include({ kernels: 'portable', memory: 'tensors', version: '4.22.0' });
    expect(ops.map(({ op }) => op)).to.deep.equal(['rms-norm', 'qk-norm']);
    for (const { candidates, rounds } of ops) {
      expect(rounds).to.be.at.least(3);
      for (const { forward, forwardBackward, workingBytes, accuracy } of candidates) {
        expect(forward).to.be.above(0);
        expect(forwardBackward).to.be.above(forward!);
        expect(workingBytes).to.be.above(1000);
        expect(accuracy!.maxError).to.be.within(accuracy!.rmsError, 0.05);
      }
    }
    const [float32, output, weights, plain] = ops[1]!.candidates;
    expect(plain!.name).to.equal('plain tfjs, float32');
    expect(float32!.accuracy!.rmsError).to.be.below(1e-6);
    // What docs/qk_norm.md says: a bfloat16 is off by some 2e-3, and two roundings by √2 of one.
    const ofQueries = (own: typeof output) => own!.partAccuracy!.rmsError;
    expect(ofQueries(float32)).to.be.below(1e-6);
    expect(ofQueries(output)).to.be.within(1e-3, 3e-3);
    expect(ofQueries(weights) / ofQueries(output)).to.be.within(1.1, 2);
  });

  it('bench says what to install for a backend that is not there', () => {
    const { status, stdout } = run(user, ['bench', '--backend', 'webgpu']);
    expect(status).to.equal(1);
    expect(stdout).to.match(/npm install @tensorflow\/tfjs-backend-webgpu webgpu$/m);
  });

  it('bench measures fused kernels on webgpu', async function () {
    const driver = await findSwiftShader();
    if (driver === undefined) skip(this, 'no software adapter');
    const [webgpu] = bench(rich, ['--backend', 'webgpu', '--op', 'rms-norm', '--seconds', '1'], {
      VK_ICD_FILENAMES: driver,
      LD_LIBRARY_PATH: path.dirname(await realpath(driver)),
    });
    expect(webgpu!.facts).to.include({ kernels: 'fused', memory: 'GPU buffers', software: true });
    const [ours, plain] = webgpu!.ops[0]!.candidates;
    expect(ours!.workingBytes).to.be.within(1000, plain!.workingBytes! / 2);
  });

  it('bench prints a table, of the native kernels in tfjs-node', async function () {
    if (!(await tensorFlowWorks('@tensorflow/tfjs-node'))) skip(this, 'tfjs-node does not run');
    const args = ['bench', '--backend', 'tensorflow', '--op', 'causal', '--seconds', '1'];
    const { status, stdout, stderr } = run(rich, args);
    expect(status, stderr).to.equal(0);
    expect(stderr).to.equal('');
    const kernels = isNative ? 'native kernels \\(\\w+, \\d+ threads\\)' : 'this package runs as';
    const head = `^tensorflow: @tensorflow/tfjs-node 4\\.22\\.0; TensorFlow 2.* on the .PU; ${kernels}`;
    expect(stdout).to.match(new RegExp(head, 'm'));
    expect(stdout).to.match(/^ {2}causal attention \[1, \d+, 8, 64\]$/m);
    const [time, memory] = [' +[\\d.]+ ms +[\\d.]+×', ' +[\\d.]+ MB +[\\d.]+×'];
    const figures = `${time}${time}${memory} +\\S+e-\\d +\\S+e-\\d$`;
    expect(stdout).to.match(new RegExp(`^ {4}tfjs-xformers${figures}`, 'm'));
  });

  it('Ctrl-C ends it and all that it has started, and leaves the terminal clean', async function () {
    // A terminal of its own: `script` of util-linux passes on what it reads.
    if (spawnSync('script', ['--version']).status !== 0) skip(this, 'no util-linux script');
    const line = `${process.execPath} ${mainOf(user)} bench --seconds 60`;
    const terminal = spawn('script', ['-qec', line, '/dev/null'], { cwd: user.path });
    let shown = '';
    const ended = new Promise<number | null>((resolve) => terminal.on('close', resolve));
    terminal.stdout.on('data', (text: Buffer) => {
      if (!shown.includes('choosing') && text.includes('choosing')) terminal.stdin.write('\x03');
      shown += text.toString();
    });
    expect(await ended, shown).to.equal(130);
    // The last thing drawn is an empty line, and the cursor was never hidden.
    expect(shown.split('\r\x1b[2K').at(-1)).to.equal('');
    expect(shown).to.not.include('\x1b[?25l');
    const left = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout;
    expect(left).to.not.include(user.installed('tfjs-xformers'));
  });
});
