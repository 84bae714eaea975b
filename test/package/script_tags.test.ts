// SPDX-License-Identifier: Apache-2.0
/** The packed bundle for script tags: pages and workers that load the first file, and what becomes of the second. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { findChromium } from '../../scripts/setup/chromium.mjs';
import { skip } from '../support/report.js';
import { REPORT, openPages } from './chromium_page.js';
import type { Serving } from './chromium_page.js';
import { COMPUTE, WARNINGS, expectFused, expectValues } from './programs.js';
import type { Told } from './programs.js';
import { UserFolder, root } from './user_folder.js';

const TF = 'tf.min.js';
const BACKEND = 'tf-backend-webgpu.min.js';
const OURS = 'tfjs-xformers.min.js';
const WEBGPU = 'tfjs-xformers.webgpu.min.js';

const USUAL = "await tf.setBackend('webgpu');\nawait report(await compute());";

function pageWith(tags: string[], code: string): string {
  const scripts = tags.map((name) => `<script src="${name}"></script>`).join('\n');
  const program = `${REPORT}${WARNINGS}${COMPUTE}(async () => {\n${code}\n})().catch(fail);`;
  return `<!doctype html><title>test</title>\n${scripts}\n<script>${program}</script>\n`;
}

const workerWith = (scripts: string[], code: string) => `
importScripts(${scripts.map((name) => JSON.stringify(`../${name}`)).join(', ')});
${WARNINGS}${COMPUTE}
const report = postMessage;
(async () => {\n${code}\n})().catch((error) => report({ error: String(error?.stack ?? error) }));
`;
const inWorker = (name: string) =>
  pageWith(
    [],
    `const worker = new Worker('worker/${name}');
worker.onerror = ({ message }) => fail(message ?? 'the worker’s script did not arrive');
worker.onmessage = ({ data }) => report(data);`,
  );

/** Workers whose kernels are fused, by the names of their programs. */
const WORKERS = {
  'plain.js': workerWith([TF, BACKEND, OURS], USUAL),
  'query.js': workerWith([TF, BACKEND, `${OURS}?v=1.2`], USUAL),
  'package.js': workerWith([TF, BACKEND, 'package'], USUAL),
  'both.js': workerWith([TF, BACKEND, 'renamed', WEBGPU], USUAL),
};

/** The second file is not found; the program then loads it by itself. */
const LOADS_IT = `
await tf.setBackend('webgpu');
const before = await compute();
const message = await tfxf.ready().then(() => '', ({ message }) => message);
importScripts(new URL('${WEBGPU}', home).href);
await tfxf.ready();
report([before, [message], await compute()]);`;
/** Its first file is where no other is, under a name that tells nothing. */
const RENAMED = workerWith(
  [TF, BACKEND, 'renamed'],
  `const home = new URL('..', location.href);${LOADS_IT}`,
);
/** All of its code is one blob. */
const IN_A_BLOB = pageWith(
  [],
  `const files = ['${TF}', '${BACKEND}', '${OURS}'].map(async (name) => (await fetch(name)).text());
const home = 'const home = ' + JSON.stringify(location.href) + ';';
const program = ${JSON.stringify(workerWith([], LOADS_IT).replace('importScripts();', ''))};
const blob = new Blob([(await Promise.all(files)).join('\\n'), home, program]);
const worker = new Worker(URL.createObjectURL(blob));
worker.onerror = ({ message }) => fail(message ?? 'the worker’s script did not arrive');
worker.onmessage = ({ data }) => report(data);`,
);

/** Pages whose kernels are fused, by their names. */
const PAGES: Record<string, string> = {
  'plain.html': pageWith([TF, BACKEND, OURS], USUAL),
  'backend_last.html': pageWith([TF, OURS, BACKEND], USUAL),
  'both_files.html': pageWith([TF, BACKEND, `alone/${OURS}`, WEBGPU], USUAL),
  // As a CDN serves the main file of a package under the package's name.
  'cdn.html': pageWith([TF, BACKEND, 'package'], USUAL),
};
for (const name of Object.keys(WORKERS)) PAGES[`worker_${name}.html`] = inWorker(name);

/** The second file is missing at first, then there. */
const RETRY = pageWith(
  [TF, BACKEND, OURS],
  `const messageOf = (promise) => promise.then(() => '', ({ message }) => message);
  await tf.setBackend('webgpu');
  const before = { ...(await compute()), warnings: [...warnings] };
  const messages = [
    await messageOf(tfxf.ready()),
    await messageOf(tfxf.registerWebGPUBackend()),
  ];
  await fetch('/allow', { method: 'POST' });
  await tfxf.ready();
  await report([before, messages, await compute()]);`,
);

/** A page on another backend, whose second file is never there. */
const WITHOUT_WEBGPU = pageWith(
  [TF, BACKEND, OURS],
  `await tf.setBackend('cpu');
  await tfxf.ready();
  await tfxf.warmup([{ op: 'fusedLayerNorm', shapes: [[2, 4]] }]);
  const names = performance.getEntriesByType('resource').map(({ name }) => name);
  await report({ backend: tf.getBackend(), names, warnings });`,
);

describe('the published bundle for script tags', function () {
  this.timeout(400_000);

  let user: UserFolder;
  const inUser = (...names: string[]) => path.join(user.path, ...names);

  function open<T>(context: Mocha.Context, pages: string[], serving?: Serving): Promise<T[]> {
    if (findChromium() === undefined) skip(context, 'no Chromium');
    return openPages<T>(user.path, pages, serving);
  }

  before(async () => {
    user = await UserFolder.make([]);
    const tfjs = (name: string) => path.join(root, 'node_modules/@tensorflow', name);
    const ours = (name: string) => user.installed('tfjs-xformers/dist', name);
    for (const folder of ['alone', 'package/dist', 'renamed', 'worker']) {
      await mkdir(inUser(folder), { recursive: true });
    }
    for (const [file, to] of [
      [tfjs('tfjs/dist/tf.min.js'), TF],
      [tfjs('tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js'), BACKEND],
      [ours(OURS), OURS],
      [ours(WEBGPU), WEBGPU],
      [ours(OURS), `alone/${OURS}`],
      [ours(OURS), 'package/index.js'],
      [ours(WEBGPU), `package/dist/${WEBGPU}`],
      [ours(OURS), 'renamed/index.js'],
    ] as const) {
      await cp(file, inUser(to));
    }
    const pages = {
      ...{ ...PAGES, 'retry.html': RETRY, 'without.html': WITHOUT_WEBGPU },
      ...{ 'renamed.html': inWorker('renamed.js'), 'in_a_blob.html': IN_A_BLOB },
    };
    for (const [name, text] of Object.entries(pages)) await writeFile(inUser(name), text);
    const workers = { ...WORKERS, 'renamed.js': RENAMED };
    for (const [name, text] of Object.entries(workers)) {
      await writeFile(inUser('worker', name), text);
    }
  });
  after(() => user.remove());

  it('brings the fused kernels, wherever it is loaded from', async function () {
    for (const told of await open<Told>(this, Object.keys(PAGES))) expectFused(told);
  });

  it('computes where the second file cannot be had, says why, and tries again', async function () {
    type Report = [before: Told, messages: string[], after: Told];
    const [told] = await open<Report>(this, ['retry.html'], {
      withheld: /xformers\.webgpu\.min\.js$/,
    });
    const [before, messages, after] = told!;
    expectValues(before);
    expect(before.form).to.equal('portable');
    expect(before.reasons.join()).to.match(
      /could not be loaded \(http\S+ did not arrive; if it is elsewhere, load it by a script tag of its own/,
    );
    expect(before.warnings.length).to.equal(1);
    expect(before.warnings[0]).to.include(before.reasons[0]);
    const words = 'the WebGPU kernels could not be loaded';
    expect(messages[0]).to.include(`ready: ${words}`);
    expect(messages[1]).to.include(`registerWebGPUBackend: ${words}`);
    expectFused({ ...after, warnings: [] });
    expect(after.warnings).to.deep.equal(before.warnings);
  });

  it('says to a worker that cannot find the second file how to load it', async function () {
    type Report = [before: Told, messages: string[], after: Told];
    const told = await open<Report>(this, ['renamed.html', 'in_a_blob.html']);
    const mend = 'load it by a script tag of its own, in a worker by importScripts()';
    const found = [
      /\/renamed\/dist\/\S+ did not arrive; if it is elsewhere/,
      /nothing tells where/,
    ];
    for (const [index, [before, [message], after]] of told.entries()) {
      expectValues(before);
      expect(before.form).to.equal('portable');
      expect(message).to.match(found[index]!).and.to.include(mend);
      expectFused({ ...after, warnings: [] });
    }
  });

  it('leaves the second file alone where the backend is another', async function () {
    interface Report {
      backend: string;
      names: string[];
      warnings: string[];
    }
    const [told] = await open<Report>(this, ['without.html']);
    expect(told!.backend).to.equal('cpu');
    expect(told!.warnings).to.deep.equal([]);
    expect(told!.names.join()).to.include(OURS).and.not.to.include(WEBGPU);
  });
});
