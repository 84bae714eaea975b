// SPDX-License-Identifier: Apache-2.0
/** The packed package holds what it should and nothing else, and the tools that check packages find nothing. */
import { access, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { publint } from 'publint';
import { UserFolder, archives, command, root } from './user_folder.js';

/** Every file that is packed is one of these. */
const EXPECTED = [
  /^package\.json$/,
  /^(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md$/,
  /^(LICENSE|NOTICE)$/,
  /^docs\/[\w-]+\.md$/,
  /^dist\/([\w]+\/)*\w+\.(js|js\.map|d\.ts)$/,
  /^dist\/tfjs-xformers(\.webgpu)?\.min\.js(\.map)?$/,
];

describe('the packed package', function () {
  this.timeout(180_000);

  let user: UserFolder;
  let files: string[];
  const inPackage = (file: string) => user.installed('tfjs-xformers', file);

  before(async () => {
    user = await UserFolder.make(['@tensorflow']);
    const entries = await readdir(user.installed('tfjs-xformers'), {
      recursive: true,
      withFileTypes: true,
    });
    files = entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        path.relative(user.installed('tfjs-xformers'), path.join(entry.parentPath, entry.name)),
      );
  });
  after(() => user.remove());

  it('holds nothing but modules, types, source maps and pages', () => {
    const odd = files.filter((file) => !EXPECTED.some((pattern) => pattern.test(file)));
    expect(odd).to.deep.equal([]);
    for (const pattern of EXPECTED) expect(files.some((file) => pattern.test(file))).to.equal(true);
  });

  it('has types and a source map for every module', () => {
    const modules = files.filter((file) => /^dist\/.*(?<!\.min)\.js$/.test(file));
    expect(modules.length).to.be.at.least(50);
    for (const file of modules) {
      expect(files).to.include(file.replace(/js$/, 'd.ts')).and.to.include(`${file}.map`);
    }
  });

  it('has pages whose links lead to files in it', async () => {
    const pages = files.filter((file) => file.endsWith('.md'));
    for (const page of pages) {
      const text = await readFile(inPackage(page), 'utf8');
      for (const [, link] of text.matchAll(/\]\((?!\w+:)([^)#]+)[^)]*\)/g)) {
        const target = path.join(path.dirname(page), link!);
        await access(inPackage(target)).catch(() => expect.fail(`${page} links to ${target}`));
      }
    }
  });

  it('publint finds nothing', async () => {
    const { messages } = await publint({
      pkgDir: user.installed('tfjs-xformers'),
      pack: false,
      strict: true,
    });
    expect(messages).to.deep.equal([]);
  });

  it('are-the-types-wrong finds nothing', async () => {
    const attw = path.join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    const { main } = await archives();
    // Modules only: Node 20.19 and newer can require() them.
    const args = [attw, main, '--profile', 'esm-only', '--format', 'json'];
    const { analysis } = JSON.parse(command(root, process.execPath, args)) as {
      analysis: { problems: object[]; entrypoints: Record<string, object> };
    };
    expect(Object.keys(analysis.entrypoints)).to.include.members(['.', './node', './layers']);
    const ignored = ({ resolutionKind }: { resolutionKind?: string }) =>
      resolutionKind === 'node10' || resolutionKind === 'node16-cjs';
    expect(analysis.problems.filter((problem) => !ignored(problem))).to.deep.equal([]);
  });
});
