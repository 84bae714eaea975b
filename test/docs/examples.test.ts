// SPDX-License-Identifier: Apache-2.0
/** Every example of README and docs has the right types and runs. */
import { spawnSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import ts from 'typescript';
import { findSwiftShader } from '../../scripts/setup/chromium.mjs';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import { skip } from '../support/report.js';
import { allBlocks, softwareDriver } from './blocks.js';
import { writeCheckpoint } from './checkpoint.js';
import { allExamples, examplesOf, root, scratch } from './examples.js';
import type { Place } from './examples.js';

const examples = await allExamples();
const fileOf = (index: number) => fileURLToPath(new URL(`example${index + 1}.ts`, scratch));

/** Why examples cannot run in a place; undefined if they can. */
const obstacles: Record<Exclude<Place, 'dawn' | 'page'>, () => Promise<string | undefined>> = {
  cpu: () => Promise.resolve(undefined),
  webgpu: async () => ((await findSwiftShader()) ? undefined : 'no software adapter'),
  tensorflow: async () =>
    (await tensorFlowWorks()) ? undefined : '@tensorflow/tfjs-node-gpu does not run',
};

/** Runs the examples of a place. @returns what each threw, by its place in the text */
function runAll(place: Place): Map<string, string | null> {
  const indices = examples.flatMap((example, index) => (example.place === place ? [index] : []));
  const preload = place === 'webgpu' ? ['--import', './test/support/preload_webgpu.ts'] : [];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', ...preload, 'test/docs/run_examples.ts', place, ...indices.map(fileOf)],
    {
      encoding: 'utf8',
      cwd: fileURLToPath(root),
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' },
    },
  );
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  expect(last, `${stdout}\n${stderr}`).to.match(/^\[.*\]$/);
  const failures = JSON.parse(last) as (string | null)[];
  return new Map(indices.map((index, i) => [examples[index]!.at, failures[i]!]));
}

/** The type checker's complaints about a file. */
function complaintsOf(program: ts.Program, file: string): string[] {
  const source = program.getSourceFile(file)!;
  return [
    ...program.getSyntacticDiagnostics(source),
    ...program.getSemanticDiagnostics(source),
  ].map(({ start, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start ?? 0);
    const text = ts.flattenDiagnosticMessageText(messageText, '\n');
    return `${source.text.split('\n')[line]!.trim()}\n  ${text}`;
  });
}

describe('the examples of README and docs', function () {
  this.timeout(240_000);

  before(async () => {
    await mkdir(scratch, { recursive: true });
    for (const [index, { code }] of examples.entries()) await writeFile(fileOf(index), code);
    await writeCheckpoint(fileURLToPath(new URL('Qwen3-0.6B', scratch)));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  it('are found with what the page takes for granted', () => {
    const text = 'x\n<!-- given: const one = 1; -->\n```js\nuse(one);\n```\n\n```sh\nls\n```\n';
    const [example, ...others] = examplesOf('a.md', text);
    expect(others).to.deep.equal([]);
    expect(example).to.include({ at: 'a.md:4', place: 'cpu' });
    expect(example!.code).to.match(/const one = 1;\s+use\(one\);/);
    expect(examples.length).to.be.at.least(9);
  });

  it('have the right types', () => {
    const { config } = ts.readConfigFile(fileURLToPath(new URL('tsconfig.json', root)), (file) =>
      ts.sys.readFile(file),
    ) as { config: { compilerOptions: object } };
    // `strict`, as users have it; the options beyond that are this project's own.
    const own = ['noUncheckedIndexedAccess', 'exactOptionalPropertyTypes', 'noImplicitOverride'];
    const off = [...own, 'noUnusedLocals', 'noUnusedParameters', 'noImplicitAny'];
    const options = {
      ...config.compilerOptions,
      ...Object.fromEntries(off.map((name) => [name, false])),
    };
    const base = fileURLToPath(root);
    const parsed = ts.parseJsonConfigFileContent(
      { compilerOptions: options, files: [] },
      ts.sys,
      base,
    );
    const program = ts.createProgram(
      examples.map((_, index) => fileOf(index)),
      parsed.options,
    );
    const wrong = examples.flatMap(({ at }, index) =>
      complaintsOf(program, fileOf(index)).map((complaint) => `${at}: ${complaint}`),
    );
    expect(wrong.join('\n')).to.equal('');
  });

  for (const [index, { at, place }] of examples.entries()) {
    if (place !== 'dawn') continue;
    it(`${at}: runs with a driver for WebGPU`, async function () {
      const env = (await softwareDriver()) ?? skip(this, 'no software adapter');
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', fileOf(index)],
        { encoding: 'utf8', cwd: fileURLToPath(root), env: { ...process.env, ...env } },
      );
      expect(status, stderr).to.equal(0);
      expect(stdout).to.match(/Float32Array\(1024\) \[\s+-?\d/);
    });
  }

  it('are those of every block with code', async () => {
    for (const { at, code } of await allBlocks('text')) {
      expect(code, at).not.to.match(/^(import|await|const|let) /m);
    }
    // A comparison with what xFormers' users write.
    const others = await allBlocks('(?!js|ts|text|sh|html)\\w+');
    expect(others.map(({ at }) => at.split(':')[0])).to.deep.equal([
      'docs/migrating_from_xformers.md',
    ]);
  });

  for (const place of ['cpu', 'webgpu', 'tensorflow'] as const) {
    describe(`run on ${place}`, () => {
      let failures: Map<string, string | null>;
      before(async function () {
        const obstacle = await obstacles[place]();
        if (obstacle !== undefined) skip(this, obstacle);
        failures = runAll(place);
      });
      for (const { at } of examples.filter((example) => example.place === place)) {
        it(at, () => expect(failures.get(at)).to.equal(null));
      }
    });
  }
});
