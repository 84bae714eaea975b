// SPDX-License-Identifier: Apache-2.0
/** What the release workflow relies on. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'chai';
import { releaseProblems } from '../../scripts/check_release.mjs';
import { VERSION } from '../../src/version.js';
import { root } from './user_folder.js';

const read = (file: string) => readFile(path.join(root, file), 'utf8');

describe('a release', () => {
  it('is of the version that all manifests have', async () => {
    // An unreleased version has no date yet; all else has to fit at any time.
    const problems = await releaseProblems(`v${VERSION}`);
    expect(problems.filter((problem) => !problem.includes('"unreleased"'))).to.deep.equal([]);
  });

  it('is refused if its tag is another version, once for each file', async () => {
    const problems = (await releaseProblems('v0.0.9')).join('\n');
    for (const file of ['package.json', 'package-lock.json', 'npm/linux-x64/package.json']) {
      expect(problems).to.include(`${file} has version ${VERSION}, the tag 0.0.9`);
    }
    expect(problems).to.match(/src\/version\.ts is not 0\.0\.9/);
    expect(problems).to.match(/CHANGELOG\.md has no heading "## \[0\.0\.9\] - <date>"/);
  });

  it('is published with provenance, platform packages first, and without a token', async () => {
    const workflow = await read('.github/workflows/release.yml');
    expect(workflow).to.match(/npm publish --provenance --access public/);
    expect(workflow).to.match(/id-token: write/);
    expect(workflow).to.match(/for package in tfjs-xformers-\[a-z\]\*\.tgz tfjs-xformers-\[0-9\]/);
    expect(workflow).to.not.match(/NODE_AUTH_TOKEN|secrets\./);
  });
});
