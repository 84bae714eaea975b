#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/** The command `tfjs-xformers`. Exit codes: 0, and 2 for a call that it does not understand. */
import { parseArgs } from 'node:util';
import { info } from '../info.js';
import { VERSION } from '../version.js';
import { reasonOf } from './candidates.js';
import { infoLines } from './info_report.js';
import type { InfoReport } from './info_report.js';
import { nativeOf } from './native_lines.js';
import { tryBackends } from './try_backends.js';

const HELP = `tfjs-xformers ${VERSION}: fused norms and memory-efficient attention for TensorFlow.js

Usage: tfjs-xformers <command> [options]

Commands
  info        what runs here and why not: versions, tfjs backends, kernels, WebGPU, TensorFlow

Options
  --json      the same as JSON
  --version   the version of this package
  --help      this text
`;

/** Tells what it does on a terminal, and nothing in a pipe. */
function progress(name: string): void {
  if (process.stderr.isTTY) process.stderr.write(`Trying ${name} …\n`);
}

async function printInfo(asJson: boolean): Promise<void> {
  const { version, versions } = info();
  const trials = await tryBackends(progress);
  const native = nativeOf(trials);
  const report: InfoReport = {
    version,
    versions,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    trials,
    native,
    gpu: native.gpu,
  };
  console.log(asJson ? JSON.stringify(report, null, 2) : infoLines(report).join('\n'));
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
}

/** Runs the command and returns its exit code. */
async function main(args: string[]): Promise<number> {
  let call: ReturnType<typeof parse>;
  try {
    call = parse(args);
  } catch (error) {
    console.error(`tfjs-xformers: ${reasonOf(error)}\nTry: tfjs-xformers --help`);
    return 2;
  }
  const { values, positionals } = call;
  const [command, ...rest] = positionals;
  if (values.help) {
    process.stdout.write(HELP);
  } else if (values.version) {
    console.log(VERSION);
  } else if (command === 'info' && rest.length === 0) {
    await printInfo(values.json);
  } else {
    const found = command === undefined ? 'no command' : `'${positionals.join(' ')}'`;
    console.error(`tfjs-xformers: the commands are: info; got ${found}\nTry: tfjs-xformers --help`);
    return 2;
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
