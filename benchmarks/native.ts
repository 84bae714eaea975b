// SPDX-License-Identifier: Apache-2.0
/**
 * The native kernels against plain tfjs, PyTorch, onnxruntime and the machine's own limits, on the
 * CPU. Every provider is a process of its own with the same number of threads; all compute the same
 * case from the same inputs, are checked, and are then timed in turn, round after round.
 *
 *     npm run bench:native -- [--quick] [--only <pattern>] [--providers <pattern>] [--list]
 *         [--rounds 7] [--threads 2] [--python <path>] [--onnxruntime <path>]
 *         [--ours @tensorflow/tfjs-node-gpu] [--plain @tensorflow/tfjs-node]
 *         [--out benchmarks/results] [--no-save]
 *
 * `--only` is a regular expression that is looked for in titles like "attention forward B1 H8 M4096
 * D64 float32 causal" (`--list` prints them). PyTorch and onnxruntime are no dependencies: where they
 * are missing their columns say `absent`, and the report says how to bring them.
 */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { allCases, isQuick } from './native/cases.js';
import type { Case, ProviderName } from './native/cases.js';
import { machine } from './native/machine.js';
import { verdicts } from './native/marks.js';
import { measureCase } from './native/measure.js';
import type { Result } from './native/measure.js';
import { Providers } from './native/providers.js';
import { csv, figure, markdown } from './native/report.js';
import { titleOf } from './shared/case.js';
import { verdictTable } from './shared/table.js';

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    providers: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    python: { type: 'string', default: 'python3' },
    onnxruntime: { type: 'string', default: 'onnxruntime-node' },
    ours: { type: 'string', default: '@tensorflow/tfjs-node-gpu' },
    plain: { type: 'string', default: '@tensorflow/tfjs-node' },
    out: { type: 'string', default: 'benchmarks/results' },
    save: { type: 'boolean', default: true },
  },
});

const threads = Number(options.threads);
const budgetSeconds = options.quick ? 3 : 12;
const rounds = Number(options.rounds ?? (options.quick ? 3 : 7));

function chosenCases(): Case[] {
  const [titles, names] = [new RegExp(options.only), new RegExp(options.providers)];
  return allCases()
    .filter((c) => titles.test(titleOf(c)) && (!options.quick || isQuick(c)))
    .map((c) => ({ ...c, providers: c.providers.filter((name) => names.test(name)) }))
    .filter((c) => c.providers.length > 0);
}

/** The processes of a case, new ones where its memory is judged. */
async function workersOf(c: Case, providers: Providers) {
  const start = async (provider: ProviderName) => {
    if (c.once) await providers.stop(provider);
    return [provider, await providers.get(provider)] as const;
  };
  const workers = new Map(await Promise.all(c.providers.map(start)));
  return (provider: ProviderName) => workers.get(provider)!;
}

async function measureAll(cases: readonly Case[], providers: Providers): Promise<Result[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-native-'));
  const results: Result[] = [];
  try {
    for (const c of cases) {
      console.log(titleOf(c));
      const workerOf = await workersOf(c, providers);
      const measured = await measureCase(c, workerOf, { rounds, budgetSeconds, folder });
      results.push(...measured);
      for (const result of measured) {
        const text = result.failure || `${figure(result)}, ${faultsOf(result)} page faults`;
        console.log(`    ${result.provider.padEnd(14)} ${text}`);
      }
    }
  } finally {
    await providers.stopAll();
    rmSync(folder, { recursive: true });
  }
  return results;
}

function faultsOf({ faults }: Result): number {
  return Math.round([...faults].sort((a, b) => a - b)[faults.length >> 1] ?? NaN);
}

async function save(results: readonly Result[], versions: Record<string, string>): Promise<void> {
  const about = machine(threads);
  // Where things lie on this machine is nobody else's matter.
  const given = process.argv
    .slice(2)
    .map((text) =>
      path.isAbsolute(text) ? '<path>' : /[^\w@/.=-]/.test(text) ? `"${text}"` : text,
    );
  const command = ['npm run bench:native', ...(given.length ? ['--', ...given] : [])].join(' ');
  const name = `native-${about['date']}-${about['CPU']!.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')}`;
  const base = path.join(options.out, options.quick ? `${name}-quick` : name);
  mkdirSync(options.out, { recursive: true });
  writeFileSync(`${base}.csv`, csv(results, about, threads, versions));
  const heading = { ...about, ...versions };
  const text = markdown(results, verdicts(results), heading, command);
  writeFileSync(`${base}.md`, await format(text, { parser: 'markdown' }));
  console.log(`Kept in ${base}.csv and ${base}.md`);
}

const cases = chosenCases();
if (options.list) {
  for (const c of cases) console.log(titleOf(c));
} else {
  const providers = new Providers({
    threads,
    python: options.python,
    onnxruntime: options.onnxruntime,
    ours: options.ours,
    plain: options.plain,
  });
  const results = await measureAll(cases, providers);
  console.log(`\n${verdictTable(verdicts(results)).join('\n')}\n`);
  if (options.save) await save(results, providers.versions);
}
process.exit(0);
