// SPDX-License-Identifier: Apache-2.0
/**
 * The commands of README, docs and CONTRIBUTING: each is run, with options that make it small, or is named here with the
 * reason why it is not; what it names must then at least be there. A command that is in neither list fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tensorFlowWorks } from '../../scripts/setup/libtensorflow.mjs';
import { sentences } from '../examples/training_text.js';
import { skip } from '../support/report.js';
import { allBlocks, softwareDriver } from './blocks.js';
import type { Block } from './blocks.js';
import { writeCheckpoint } from './checkpoint.js';
import { pages, root } from './examples.js';

const checkout = fileURLToPath(root);
const inCheckout = (...names: string[]) => path.join(checkout, ...names);
const manifest = JSON.parse(await readFile(inCheckout('package.json'), 'utf8')) as {
  name: string;
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
};

const BENCH = ['--backend', 'cpu', '--op', 'layer-norm', '--seconds', '1'];
const TRAIN = [
  ...['--width', '16', '--heads', '2', '--kv-heads', '1', '--blocks', '1', '--context', '16'],
  ...['--batch', '2', '--steps', '2', '--sample', '5'],
];

interface Run {
  /** What is said besides: of an option that is given twice, the last one counts. */
  more: string[];
  output: RegExp;
  needs?: 'tensorflow' | 'webgpu';
}

const trains = (out: string, ...more: string[]): Run => ({
  more: [...more, '--out', out],
  ...{ output: /Sample: 5 tokens/, needs: 'tensorflow' },
});

/** What is run, in this order. */
const RUN: Record<string, Run> = {
  'npx tfjs-xformers info': { more: [], output: /\bcpu\b/ },
  'npx tfjs-xformers bench': { more: BENCH, output: /^cpu/m },
  'npx tfjs-xformers bench --backend webgpu --op causal --seconds 20': {
    more: ['--seconds', '1'],
    output: /causal attention/,
    needs: 'webgpu',
  },
  'npx tfjs-xformers bench --json > bench.json': { more: BENCH, output: /^\{[\s\S]*\}\n$/ },
  'node --import tsx examples/models/pretrained_main.ts Qwen3-0.6B 9707,11,847 --tokens 20': {
    more: [],
    output: /\d+/,
  },
  'npm run train -- --help': { more: [], output: /--learning-rate/ },
  'npm run train -- FILE': trains('train', ...TRAIN, '--stop-after', '1'),
  'npm run train -- --resume': trains('train', '--sample', '5'),
  'npm run train -- FILE --dtype compare': {
    ...trains('compare', ...TRAIN),
    output: /cast-weights \|/,
  },
  'npm run train -- node_modules/typescript/lib/lib.dom.d.ts --tokens byte-pairs --steps 300':
    trains('pairs', ...TRAIN, '--vocabulary', '260'),
  'npm run train -- node_modules/typescript/lib/lib.es5.d.ts --dtype compare --steps 40 --context 256 --batch 4 --blocks 2':
    { ...trains('compare', ...TRAIN), output: /cast-weights \|/ },
  'npm run example:browser:build': { more: ['--outDir', 'page'], output: /index\.html/ },
};

const REGISTRY = 'asks the registry of npm; test/package installs what is packed';
const TOOLCHAIN = 'takes minutes and a C++ toolchain; CI runs it';

/** What is not run, and why. */
const NOT_RUN: Record<string, string> = {
  'npm ci': 'replaces what these tests run on',
  'npm test': 'is what these tests are a part of',
  'npm run setup': 'is the first thing that `npm test` does',
  'npm run quickstart': 'takes half a minute; CI runs it',
  'npm run example:browser': 'does not end; it is started by a test of its own below',
  'npm run package': 'is done by test/package as well',
  'npm run build:native': TOOLCHAIN,
  'npm run build:native -- --tests': TOOLCHAIN,
  'npm run test:sanitize -- --filter fuzz/norm --seed 7': TOOLCHAIN,
  'native/build/tests/native_tests --filter golden/norm': TOOLCHAIN,
  'bash scripts/cuda_check.sh': 'needs a GPU',
  'npm install tfjs-xformers @tensorflow/tfjs @tensorflow/tfjs-backend-webgpu': REGISTRY,
  'npm install tfjs-xformers @tensorflow/tfjs-node': REGISTRY,
  'npm install --save-dev vite': REGISTRY,
  'npm install-scripts approve @tensorflow/tfjs-node': 'is of npm 12',
  'npm rebuild @tensorflow/tfjs-node': REGISTRY,
  'pip install tensorboard': 'is a program of others',
  'tensorboard --logdir runs/train/logs': 'is a program of others',
};

/** The commands of a block, without comments. */
const commandsOf = ({ code }: Block) =>
  code
    .split('\n')
    .flatMap((line) => line.replace(/(^|\s+)#.*$/, '').split(' && '))
    .map((text) => text.trim())
    .filter((text) => text !== '');

const all = new Map<string, string>();
for (const block of await allBlocks('sh', ['CONTRIBUTING.md'])) {
  for (const text of commandsOf(block)) all.set(text, block.at);
}

/** The words after `npm run`: those of the script, and what it is given. */
function scriptOf(text: string): { name: string; words: string[] } | null {
  const [, name, given = ''] = /^npm run ([\w:]+)(?: -- (.*))?$/.exec(text) ?? [];
  if (name === undefined) return null;
  const words = [...(manifest.scripts[name] ?? '').split(' '), ...given.split(' ')];
  return { name, words: words.filter((word) => word !== '') };
}

/** A command as a program of Node and its arguments. */
function programOf(text: string): string[] {
  const [program, ...args] =
    scriptOf(text)?.words ??
    text
      .replace(/ > \S+$/, '')
      .replace(/^npx tfjs-xformers/, 'node --import tsx src/cli/main.ts')
      .split(' ');
  if (program === 'vite') return ['node_modules/vite/bin/vite.js', ...args];
  expect(program, text).to.equal('node');
  return args;
}

describe('the commands of README, docs and CONTRIBUTING', function () {
  this.timeout(240_000);
  let folder: string;
  const inFolder = (name: string) => path.join(folder, name);

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-commands-'));
    await writeFile(inFolder('text.txt'), sentences(60));
    await writeCheckpoint(inFolder('checkpoint'));
  });
  after(() => rm(folder, { recursive: true }));

  /** Arguments with the places of this test. */
  const placed = (args: readonly string[]) =>
    args.map((arg, index) => {
      if (arg === 'FILE') return inFolder('text.txt');
      if (arg === 'Qwen3-0.6B') return inFolder('checkpoint');
      return ['--out', '--outDir'].includes(args[index - 1] ?? '') ? inFolder(arg) : arg;
    });

  it('are all known, and those that are known are there', () => {
    const known = [...Object.keys(RUN), ...Object.keys(NOT_RUN)];
    expect([...all.keys()].sort()).to.deep.equal(known.sort());
  });

  for (const [text, { more, output, needs }] of Object.entries(RUN)) {
    it(`${text} (${all.get(text)})`, async function () {
      const env: NodeJS.ProcessEnv = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', NO_COLOR: '1' };
      if (needs === 'tensorflow' && !(await tensorFlowWorks('@tensorflow/tfjs-node'))) {
        skip(this, '@tensorflow/tfjs-node does not run');
      }
      if (needs === 'webgpu') {
        Object.assign(env, (await softwareDriver()) ?? skip(this, 'no software adapter'));
      }
      const args = placed([...programOf(text), ...more]);
      const options = { cwd: checkout, encoding: 'utf8', env } as const;
      const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
      expect(status, `${stdout}\n${stderr}`).to.equal(0);
      expect(stdout).to.match(output);
    });
  }

  it('npm run example:browser serves the page', async () => {
    const args = [...programOf('npm run example:browser'), '--port', '47113'];
    const env = { ...process.env, NO_COLOR: '1' };
    const server = spawn(process.execPath, args, { cwd: checkout, env });
    try {
      const url = await new Promise<string>((resolve, reject) => {
        let told = '';
        const note = (chunk: Buffer) => {
          const [found] = /http:\/\/\S+/.exec((told += chunk.toString())) ?? [];
          if (found !== undefined) resolve(found);
        };
        server.stdout.on('data', note);
        server.stderr.on('data', note);
        server.on('close', () => reject(new Error(told)));
      });
      const page = await (await fetch(url)).text();
      expect(page)
        .to.match(/<title>[^<]+<\/title>/)
        .and.to.include('main.ts');
    } finally {
      server.kill();
    }
  });

  for (const [text, why] of Object.entries(NOT_RUN)) {
    it(`${text}: not run, it ${why}`, async () => {
      const script = scriptOf(text);
      const files: string[] = [];
      if (script) {
        expect(manifest.scripts, text).to.have.property(script.name);
        files.push(...script.words.filter((word) => /\.(mjs|ts)$/.test(word)));
      }
      files.push(...(/scripts\/\S+\.sh/.exec(text) ?? []));
      for (const file of files) {
        const source = await readFile(inCheckout(file), 'utf8');
        for (const [, flag] of text.matchAll(/ --(?!import)(\w[\w-]*)/g)) {
          expect(source, `${file} has --${flag}`).to.include(flag!);
        }
      }
      if (why === TOOLCHAIN || why.endsWith('CI runs it')) {
        const [, name] = /^npm run (\S+)/.exec(text) ?? [];
        const ci = await readFile(inCheckout('.ci/run'), 'utf8');
        if (name !== undefined) expect(ci).to.include(`npm run ${name}`);
      }
      const [, packages = ''] =
        /^npm (?:install|rebuild|install-scripts approve) (.*)$/.exec(text) ?? [];
      for (const name of packages.split(' ').filter((word) => /^[@\w]/.test(word))) {
        expect([manifest.name, ...Object.keys(manifest.devDependencies)]).to.include(name);
      }
    });
  }

  it('name scripts that there are, in the text as well', async () => {
    const texts = [...(await pages()), 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
    let count = 0;
    for (const page of [...texts, 'benchmarks/README.md']) {
      const text = await readFile(inCheckout(page), 'utf8');
      for (const [, name] of text.matchAll(/npm run ([\w:]+)/g)) {
        expect(manifest.scripts, page).to.have.property(name!);
        count++;
      }
      for (const [, file] of text.matchAll(/(?:node --import tsx|bash) ([\w./-]+)/g)) {
        expect(existsSync(inCheckout(file!)), `${page} names ${file}`).to.equal(true);
        count++;
      }
    }
    expect(count).to.be.at.least(40);
  });
});
