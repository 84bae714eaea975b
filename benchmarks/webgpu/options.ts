// SPDX-License-Identifier: Apache-2.0
/** The command line of benchmarks/webgpu.ts. */
import { parseArgs } from 'node:util';
import type { Adapter } from '../../scripts/node_webgpu.js';
import { PROVIDERS } from './cases.js';
import type { ProviderName } from './cases.js';
import type { GridName } from './grid.js';

export const HELP = `Times this package's WebGPU kernels and their peers on one device.

  npm run bench:webgpu -- [options]

  --adapter software|hardware  the machine's GPU, or SwiftShader of Chromium (software)
  --in node|chromium           where (node)
  --quick                      four cases, about a minute
  --only <pattern>             cases whose titles match a regular expression; --list prints titles
  --providers <pattern>        providers whose names match: ${PROVIDERS.join(', ')};
                               on software adapters onnxruntime-web has to be named: it wants a device
                               without subgroups there, on which this package is slower
  --matrices                   asks for subgroup matrices (tensor cores), an experimental feature
  --rounds <number>            turns of each provider (5)
  --limit <seconds>            calls that would take longer are skipped (2; software 30)
  --budget <seconds>           what a case may take, each provider an equal part of it; who would
                               need more is skipped (60; software 24)
  --memory <GiB>               calls that would need more are skipped (6; software 2)
  --peers <folder>             where onnxruntime-web and jax-js are, or are installed (.cache/peers)
  --out <folder>               where the tables are kept (benchmarks/results)
  --no-save                    only prints
  --gather <file>              adds the results to the file, and reports all that it has: for a
                               grid that is done in parts, with --only
  --continue                   leaves out the cases that the file of --gather has
  --minutes <number>           ends after the case during which the time is over
  --bundle <folder>            measures nothing: makes a folder that runs with Node alone, for
  --platform <names>           these platforms: linux-x64, win32-x64, darwin-universal … (this one)
`;

export interface Options {
  adapter: Adapter;
  where: 'node' | 'chromium';
  grid: GridName;
  only: RegExp;
  matrices: boolean;
  provides: (name: ProviderName) => boolean;
  rounds: number;
  callSeconds: number;
  caseSeconds: number;
  memoryBytes: number;
  peers: string;
  out: string;
  save: boolean;
  gatherIn: string | undefined;
  continues: boolean;
  /** Milliseconds that are left for cases; Infinity if there is no end. */
  duration: number;
  list: boolean;
  help: boolean;
  bundle: string | undefined;
  platforms: readonly string[];
  /** This process is a runner (runners/node_child.ts). */
  runner: boolean;
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) {
    throw new RangeError(`--${name} is ${value}; it has to be ${allowed.join(' or ')}`);
  }
  return found;
}

function numberOf(name: string, value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new RangeError(`--${name} is ${value}; it has to be a number above 0`);
  return number;
}

/** As the package `webgpu` names the builds of its add-on. */
const thisPlatform = `${process.platform}-${process.platform === 'darwin' ? 'universal' : process.arch}`;

export interface Defaults {
  peers: string;
  out: string;
}

export function parseOptions(args: readonly string[], defaults: Defaults): Options {
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      adapter: { type: 'string', default: 'software' },
      in: { type: 'string', default: 'node' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      providers: { type: 'string' },
      matrices: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      limit: { type: 'string' },
      budget: { type: 'string' },
      memory: { type: 'string' },
      peers: { type: 'string', default: defaults.peers },
      out: { type: 'string', default: defaults.out },
      save: { type: 'boolean', default: true },
      gather: { type: 'string' },
      continue: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      bundle: { type: 'string' },
      platform: { type: 'string', default: thisPlatform },
      runner: { type: 'boolean', default: false },
    },
  });
  const adapter = oneOf('adapter', values.adapter, ['software', 'hardware'] as const);
  const isSoftware = adapter === 'software';
  if (values.continue && values.gather === undefined) {
    throw new RangeError('--continue wants --gather, the file of what has been measured');
  }
  const providers = values.providers === undefined ? undefined : new RegExp(values.providers);
  const takesSubgroups = (name: ProviderName) => isSoftware && name === 'onnxruntime-web';
  return {
    adapter,
    where: oneOf('in', values.in, ['node', 'chromium'] as const),
    grid: values.quick ? 'quick' : adapter,
    only: new RegExp(values.only),
    matrices: values.matrices,
    provides: (name) => (providers ? providers.test(name) : !takesSubgroups(name)),
    rounds: numberOf('rounds', values.rounds),
    callSeconds: numberOf('limit', values.limit ?? (isSoftware ? '30' : '2')),
    caseSeconds: numberOf('budget', values.budget ?? (isSoftware ? '24' : '60')),
    memoryBytes: numberOf('memory', values.memory ?? (isSoftware ? '2' : '6')) * 2 ** 30,
    peers: values.peers,
    out: values.out,
    save: values.save,
    gatherIn: values.gather,
    continues: values.continue,
    duration:
      values.minutes === undefined ? Infinity : 60_000 * numberOf('minutes', values.minutes),
    list: values.list,
    help: values.help,
    bundle: values.bundle,
    platforms: values.platform.split(','),
    runner: values.runner,
  };
}
