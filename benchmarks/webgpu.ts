// SPDX-License-Identifier: Apache-2.0
/**
 * The WebGPU kernels against plain tfjs, onnxruntime-web, jax-js and the device's own limits: all on one device,
 * in one run, in Node (through Dawn) or in Chromium. `npm run bench:webgpu -- --help` names the options.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { table, verdictTable } from './shared/table.js';
import { titleOf } from './webgpu/cases.js';
import type { Case, ProviderName } from './webgpu/cases.js';
import { coordinate, tryDevice } from './webgpu/coordinator.js';
import type { Outcome } from './webgpu/coordinator.js';
import { gather, gathered, notGathered } from './webgpu/gathered.js';
import { gridOf } from './webgpu/grid.js';
import { commandOf, environment, formatMarkdown } from './webgpu/environment.js';
import { verdicts } from './webgpu/marks.js';
import type { Result } from './webgpu/measure.js';
import { HELP, parseOptions } from './webgpu/options.js';
import type { Options } from './webgpu/options.js';
import { findPeer } from './webgpu/peers.js';
import type { PeerName } from './webgpu/peers.js';
import type { PeerModule } from './webgpu/protocol.js';
import { csv, figure, markdown } from './webgpu/report.js';
import type { Report } from './webgpu/report.js';
import type { Clock } from './webgpu/results.js';
import { nodeRunner } from './webgpu/runners/node.js';
import type { StartRunner } from './webgpu/runners/runner.js';

const PEER_PACKAGES = { 'onnxruntime-web': 'onnxruntime-web', 'jax-js': '@jax-js/jax' } as const;

/** A call of --limit, several times over, or a slow compiler on a busy machine. */
const SILENCE_SECONDS = 600;
/** Calls that may follow each other without a word, and some for a busy machine. */
const SILENT_CALLS = 4;

function chosenCases({ grid, only, provides, continues, gatherIn }: Options): Case[] {
  const cases = gridOf(grid)
    .filter((c) => only.test(titleOf(c)))
    .map((c) => ({ ...c, providers: c.providers.filter(provides) }))
    .filter((c) => c.providers.length > 0);
  return continues ? notGathered(gatherIn!, cases) : cases;
}

function peerModules(
  cases: readonly Case[],
  { peers }: Options,
  urlOf: (file: string) => string,
): Partial<Record<ProviderName, PeerModule>> {
  const modules: Partial<Record<ProviderName, PeerModule>> = {};
  for (const [provider, name] of Object.entries(PEER_PACKAGES) as [ProviderName, PeerName][]) {
    if (!cases.some((c) => c.providers.includes(provider))) continue;
    const found = findPeer(name, peers);
    modules[provider] =
      typeof found === 'string' ? found : { url: urlOf(found.file), version: found.version };
  }
  return modules;
}

interface Place {
  start: StartRunner;
  /** Where a runner there finds a file. */
  urlOf: (file: string) => string;
}

async function placeOf({ where, adapter, peers }: Options): Promise<Place> {
  if (where === 'node') {
    return { start: nodeRunner(adapter), urlOf: (file) => pathToFileURL(file).href };
  }
  const { chromiumRunner, peerUrl } = await import('./webgpu/runners/chromium.js');
  const root = path.resolve(peers);
  return { start: chromiumRunner(adapter, root), urlOf: (file) => peerUrl(root, file) };
}

const clockOf = (software: boolean): Clock => (software ? 'wall' : 'GPU');

function print(c: Case, results: readonly Result[], clock: Clock): void {
  console.log(titleOf(c));
  for (const result of results) {
    const error = Number.isFinite(result.maxError)
      ? `; error ${result.maxError.toExponential(1)}`
      : '';
    const { failure } = result;
    const told = figure(result, clock);
    const counted = Number.isFinite(result.peakBytes) ? `${told} (${failure})` : failure;
    const text = failure ? counted : `${told}${error}`;
    console.log(`    ${result.provider.padEnd(16)} ${text}`);
  }
}

function asksPeer({ results }: Outcome): boolean {
  return results.some(({ provider }) => provider === 'onnxruntime-web');
}

/** What else tells results of one adapter and day apart. */
function variantsOf({ grid, matrices }: Options, outcome: Outcome): string[] {
  return [
    ...(grid === 'quick' ? ['quick'] : []),
    ...(outcome.software && asksPeer(outcome) ? ['without-subgroups'] : []),
    ...(matrices ? ['matrices'] : []),
  ];
}

async function save(fresh: Outcome, options: Options): Promise<void> {
  const { gatherIn, grid } = options;
  const outcome = gatherIn === undefined ? fresh : gather(gatherIn, fresh, gridOf(grid));
  const { results, software } = outcome;
  const report: Report = {
    results,
    verdicts: verdicts(results, software),
    heading: { ...environment(options.where), ...outcome.heading },
    clock: clockOf(software),
    commands: outcome.commands,
    leavesOutPeer: software && !asksPeer(outcome) && !options.provides('onnxruntime-web'),
  };
  console.log(`\n${verdictTable(report.verdicts).join('\n')}\n`);
  if (!options.save) return;
  const adapter = (report.heading['adapter'] ?? 'unknown').replace(/[^A-Za-z0-9]+/g, '-');
  const name = `webgpu-${report.heading['date']}-${options.where}-${adapter}`.replace(/-$/, '');
  const base = path.join(options.out, [name, ...variantsOf(options, outcome)].join('-'));
  mkdirSync(options.out, { recursive: true });
  writeFileSync(`${base}.csv`, csv(report));
  writeFileSync(`${base}.md`, await formatMarkdown(markdown(report)));
  const shown = path.relative(process.cwd(), base);
  console.log(`Kept in ${shown}.csv and ${shown}.md`);
}

async function measure(options: Options): Promise<void> {
  const cases = chosenCases(options);
  const { start, urlOf } = await placeOf(options);
  const isSoftware = options.adapter === 'software';
  const settings = {
    settings: {
      rounds: options.rounds,
      turnSeconds: isSoftware ? 0.05 : 0.1,
      budgetSeconds: isSoftware ? 3 : 2,
    },
    limits: {
      callSeconds: options.callSeconds,
      caseSeconds: options.caseSeconds,
      memoryBytes: options.memoryBytes,
    },
    subgroups: !cases.some(({ providers }) => providers.includes('onnxruntime-web')),
    matrices: options.matrices,
    known: options.gatherIn === undefined ? [] : gathered(options.gatherIn),
    peers: {},
  };
  const coordinator = {
    command: commandOf(program, process.argv.slice(2)),
    start,
    silenceSeconds: Math.max(SILENCE_SECONDS, SILENT_CALLS * options.callSeconds),
    onDevice: (heading: Record<string, string>) =>
      console.log(table(['', ''], Object.entries(heading)).join('\n')),
    onCase: (c: Case, results: readonly Result[], outcome: Outcome) => {
      print(c, results, clockOf(isSoftware));
      // After every case, so that nothing is lost if the process ends.
      if (options.gatherIn !== undefined) gather(options.gatherIn, outcome, gridOf(options.grid));
    },
    isOver: () => performance.now() > options.duration,
  };
  // Before anything is downloaded.
  if (!isSoftware) await tryDevice({ ...coordinator, settings });
  const peers = peerModules(cases, options, urlOf);
  const outcome = await coordinate(cases, { ...coordinator, settings: { ...settings, peers } });
  const left = cases.length - new Set(outcome.results.map(({ case: c }) => titleOf(c))).size;
  if (left > 0) console.log(`\n${left} cases are left (--minutes)`);
  await save(outcome, options);
}

async function main(options: Options): Promise<void> {
  if (options.help) console.log(HELP);
  else if (options.list) for (const c of chosenCases(options)) console.log(titleOf(c));
  else if (options.bundle !== undefined) {
    const { makeBundle } = await import('./webgpu/bundle.js');
    await makeBundle(options.bundle, options.platforms, options.peers);
  } else if (options.runner) {
    const { serveParent } = await import('./webgpu/runners/node_child.js');
    await serveParent(options.adapter);
  } else await measure(options);
}

const here = path.dirname(fileURLToPath(import.meta.url));
/** In a bundle all is beside the program (webgpu/bundle.ts). */
const isBundled = !import.meta.url.endsWith('.ts');
const program = isBundled ? 'node bench_webgpu.mjs' : 'npm run bench:webgpu';
const defaults = isBundled
  ? { peers: path.join(here, 'peers'), out: 'results' }
  : { peers: path.join(here, '..', '.cache', 'peers'), out: path.join(here, 'results') };

// An exit, so that the runner ends as well.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await main(parseOptions(process.argv.slice(2), defaults));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
