// SPDX-License-Identifier: Apache-2.0
/** The training example as a program: errors and exit codes, Ctrl-C and --resume, logs, without tfjs-node. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';

import { makeJob } from '../../examples/node-training/job.js';
import { readOptions } from '../../examples/node-training/options.js';
import { UsageError } from '../../examples/shared/usage.js';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import { skip } from '../support/report.js';
import { SMALL, sentences } from './training_text.js';

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const MAIN = pathOf('../../examples/node-training/main.ts');
const HIDE = pathOf('../support/hide_tfjs_node.mjs');

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** @param stopAt a signal like that of Ctrl-C is sent when this has been printed */
function train(args: string[], more: { node?: string[]; stopAt?: RegExp } = {}): Promise<Ended> {
  const node = ['--import', 'tsx', ...(more.node ?? [])];
  const child = spawn(process.execPath, [...node, MAIN, ...args], { stdio: 'pipe' });
  let [stdout, stderr, isStopped] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (isStopped || !more.stopAt?.test(stdout)) return;
    isStopped = true;
    child.kill('SIGINT');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

describe('the training example as a program', function () {
  this.timeout(180_000);
  let folder = '';
  const inFolder = (name: string) => path.join(folder, name);
  const small = (out: string, ...more: string[]) => [
    ...[inFolder('text.txt'), '--out', inFolder(out), ...SMALL, '--sample', '20', ...more],
  ];

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-train-'));
    await writeFile(inFolder('text.txt'), sentences(60));
    await writeFile(inFolder('short.txt'), 'short');
    await writeFile(inFolder('binary'), Uint8Array.of(0xff, 0xfe, 0x80));
  });
  after(() => rm(folder, { recursive: true }));

  it('--help tells the options, each line short', async () => {
    const { status, stdout } = await train(['--help']);
    expect(status).to.equal(0);
    expect(stdout).to.match(/^ {2}--learning-rate X .*\(default: 3e-3\)$/m);
    for (const line of stdout.split('\n')) expect(line.length, line).to.be.at.most(110);
  });

  it('wrong options and files are told, with exit code 2', async () => {
    const cases: [args: string[], message: RegExp][] = [
      [['--steps', 'many'], /^train: --steps takes a whole number/],
      [[inFolder('nowhere')], /^train: cannot read the text: ENOENT/],
    ];
    for (const [args, message] of cases) {
      const { status, stdout, stderr } = await train(args);
      expect(stderr).to.match(message);
      expect(stderr).to.match(/`npm run train -- --help` lists the options\.\n$/);
      expect([status, stdout]).to.deep.equal([2, '']);
    }
  });

  it('files that cannot serve are told', async () => {
    const cases: [args: string[], message: RegExp][] = [
      [[folder], /^cannot read the text: EISDIR/],
      [[inFolder('binary')], /binary is no UTF-8 text/],
      [[inFolder('short.txt')], /^the training part of the text has 4 tokens/],
      [['--resume', '--out', inFolder('nowhere')], /^there is no checkpoint in .*nowhere/],
      [[inFolder('text.txt'), '--out', inFolder('binary')], /^cannot read .*binary: ENOTDIR/],
    ];
    for (const [args, message] of cases) {
      const error: unknown = await makeJob(readOptions(args)).catch((reason: unknown) => reason);
      expect(error, args.join(' ')).to.be.instanceOf(UsageError);
      expect((error as UsageError).message).to.match(message);
    }
  });

  it('says of a finished run that it is, and saves nothing more', async function () {
    if (!(await tensorFlowWorks('@tensorflow/tfjs-node'))) skip(this, 'tfjs-node does not run');
    const first = await train(small('short', '--steps', '2'));
    expect(first.status, first.stderr).to.equal(0);
    const saved = await readdir(inFolder('short'));
    const again = await train(['--resume', '--out', inFolder('short'), '--sample', '0']);
    expect(again.status, again.stderr).to.equal(0);
    expect(again.stdout).to.match(/\n {2}this run is finished: all of its 2 steps are done\n/);
    expect(again.stdout).not.to.include('checkpoint after');
    expect(await readdir(inFolder('short'))).to.deep.equal(saved);
  });

  it('stops at Ctrl-C with a checkpoint, and --resume ends where an undisturbed run does', async function () {
    if (!(await tensorFlowWorks('@tensorflow/tfjs-node'))) skip(this, 'tfjs-node does not run');
    const more = ['--tokens', 'byte-pairs', '--vocabulary', '270', '--steps', '5000'];
    const stopped = await train(small('parts', ...more), { stopAt: /1\/5,000/ });
    expect(stopped.status, stopped.stderr).to.equal(130);
    expect(stopped.stdout).to.match(/\n {2}--resume goes on from there\n$/);
    const steps = Number(
      /checkpoint after ([\d,]+) steps/.exec(stopped.stdout)![1]!.replace(',', ''),
    );
    const again = await train(small('parts', ...more));
    expect(again.stderr).to.match(/--resume goes on, another --out begins anew/);
    expect(again.status).to.equal(2);
    const rest = ['--resume', '--out', inFolder('parts'), '--stop-after', '5', '--sample', '20'];
    const resumed = await train([...rest, '--evaluate-every', '5']);
    expect(resumed.status, resumed.stderr).to.equal(0);
    expect(resumed.stdout).to.match(/5,000 steps, from step [\d,]+ on/);
    expect(resumed.stdout).to.match(/held-out loss \d\.\d{4} nats per token/);
    expect(resumed.stdout).to.match(/Sample: 20 tokens after 32\n\n[^]{20}/);
    const whole = await train(small('whole', ...more, '--stop-after', String(steps + 5)));
    expect(whole.status, whole.stderr).to.equal(0);
    const sampleOf = ({ stdout }: Ended) => stdout.slice(stdout.indexOf('Sample: '));
    expect(sampleOf(resumed)).to.equal(sampleOf(whole));
    const last = `step-${String(steps + 5).padStart(6, '0')}`;
    for (const file of ['weights.bin', 'optimizer.bin', 'state.json', 'model.json']) {
      const [a, b] = await Promise.all(
        ['whole', 'parts'].map((out) => readFile(inFolder(`${out}/${last}/${file}`))),
      );
      expect(a!.equals(b!), file).to.equal(true);
    }
    // What TensorBoard reads: a file of each run, with the names of what was measured.
    const logs = await readdir(inFolder('parts/logs'));
    expect(logs.length).to.equal(2);
    const events = await readFile(inFolder(`parts/logs/${logs[1]}`), 'latin1');
    for (const tag of ['loss/training', 'loss/held_out', 'learning_rate', 'gradient_norm']) {
      expect(events).to.include(tag);
    }
    // Another text is another training.
    await writeFile(inFolder('other.txt'), sentences(60, 2));
    const other = await train([inFolder('other.txt'), '--resume', '--out', inFolder('parts')]);
    expect(other.stderr).to.match(/other\.txt is not the text that the checkpoint was trained on/);
    expect(other.status).to.equal(2);
  });

  it('--dtype compare prints one table, and saves no checkpoint', async () => {
    const { status, stdout, stderr } = await train(
      small('compared', '--dtype', 'compare', '--steps', '3'),
    );
    expect(status, stderr).to.equal(0);
    const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
    const cells = rows.map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
    expect(cells.map(([name]) => name)).to.deep.equal([
      ...['dtype', 'float32', 'cast-output', 'cast-weights'],
    ]);
    const numbers = cells.slice(1).map((row) => row.slice(1).map((cell) => parseFloat(cell)));
    for (const [training, heldOut, time, speed, memory] of numbers) {
      expect(Math.min(training!, heldOut!, time!, speed!, memory!)).to.be.above(0);
      expect(training).to.be.closeTo(numbers[0]![0]!, 0.02);
    }
    const files = await readdir(inFolder('compared')).catch(() => []);
    expect(files.filter((name) => name !== 'logs')).to.deep.equal([]);
  });

  it('ends with exit code 1 when training diverges, and saves nothing of it', async () => {
    const wild = ['--learning-rate', '1e30', '--warm-up', '0', '--save-every', '1', '--steps', '9'];
    const { status, stderr } = await train(small('wild', ...wild));
    expect(stderr).to.match(/train: step 2 has a loss of .* take a smaller --learning-rate/);
    expect(status).to.equal(1);
    expect(await readdir(inFolder('wild'))).to.have.members(['logs', 'step-000001']);
  });

  it('without tfjs-node plain tfjs trains, and a line says so', async () => {
    const args = small('plain', '--steps', '2', '--batch', '1', '--blocks', '1');
    const { status, stdout, stderr } = await train(args, { node: ['--import', HIDE] });
    expect(status, stderr).to.equal(0);
    expect(stdout).to.match(
      /^@tensorflow\/tfjs-node is missing .* plain @tensorflow\/tfjs computes/,
    );
    expect(stdout).to.match(/device {2}plain JavaScript/);
    expect(stdout).to.match(/logs {4}none/);
    expect(await readdir(inFolder('plain'))).to.deep.equal(['step-000002']);
  });
});
