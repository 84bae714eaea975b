// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the site: the API as TypeDoc finds it in the entry points, and the pages of docs/ beside it.
 *
 *     npm run docs [-- --to FOLDER]        (.cache/docs)
 *
 * TypeDoc takes the title of a page from its front matter. The pages have none, because npm and Git hosts would show it
 * as a table, so copies with a title of their first heading are what TypeDoc reads. A warning is an error: a link that
 * leads nowhere, an unknown tag. Nothing is downloaded.
 */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { Application, OptionDefaults } from 'typedoc';

import { note, root, step } from './console.mjs';

/** Pages for users, in the order of reading; others of docs/ that are not listed here come after them. */
const GUIDES = [
  'quickstart_browser',
  'quickstart_node',
  'masks',
  'multi_head_attention',
  'qk_norm',
  'fused_layers',
  'training',
  'generation',
  'models',
  'browser_app',
  'numerics',
  'performance',
  'migrating_from_xformers',
  'options',
  'troubleshooting',
];
/** How it works. */
const BACKGROUND = ['attention', 'layer_norm', 'native', 'cuda', 'add-a-kernel'];
const PROJECT = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];

const { values } = parseArgs({
  options: { to: { type: 'string', default: path.join(root, '.cache/docs') } },
});
const copies = path.join(root, '.cache/pages');

/** The pages of docs/ in their order, as paths from the root. */
async function pagesInOrder() {
  const names = (await readdir(path.join(root, 'docs')))
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.basename(file, '.md'));
  const others = names.filter((name) => ![...GUIDES, ...BACKGROUND].includes(name)).sort();
  const guides = [...GUIDES.filter((name) => names.includes(name)), ...others];
  return [
    ...guides.map((name) => ({ file: `docs/${name}.md`, group: 'Guides' })),
    ...BACKGROUND.map((name) => ({ file: `docs/${name}.md`, group: 'How it works' })),
    ...PROJECT.map((file) => ({ file, group: 'Project' })),
  ];
}

/**
 * Copies a page for TypeDoc, under the same path.
 *
 * @param {string} file
 * @param {string} [group]
 * @returns {Promise<string>} the copy
 */
async function copyPage(file, group) {
  const text = await readFile(path.join(root, file), 'utf8');
  const title = /^# (.*)$/m.exec(text)?.[1] ?? path.basename(file, '.md');
  const head =
    group === undefined ? '' : `---\ntitle: ${JSON.stringify(title)}\ngroup: ${group}\n---\n\n`;
  const copy = path.join(copies, file);
  await mkdir(path.dirname(copy), { recursive: true });
  await writeFile(copy, head + text);
  return copy;
}

step('Site: API and guides');
await rm(copies, { recursive: true, force: true });
await rm(values.to, { recursive: true, force: true });
const readme = await copyPage('README.md');
const pages = await pagesInOrder();
const projectDocuments = [];
for (const { file, group } of pages) projectDocuments.push(await copyPage(file, group));

const application = await Application.bootstrapWithPlugins({
  entryPoints: ['index', 'node', 'layers'].map((name) => path.join(root, `src/${name}.ts`)),
  tsconfig: path.join(root, 'tsconfig.build.json'),
  name: 'tfjs-xformers',
  includeVersion: true,
  readme,
  projectDocuments,
  groupOrder: ['Guides', 'How it works', 'Project', 'Modules', '*'],
  sort: ['documents-first', 'source-order'],
  sortEntryPoints: false,
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  excludeExternals: true,
  disableSources: true,
  hideGenerator: true,
  modifierTags: [...OptionDefaults.modifierTags, '@nocollapse'],
  highlightLanguages: [...OptionDefaults.highlightLanguages, 'python'],
  validation: { invalidLink: true, invalidPath: true, rewrittenLink: true, notExported: false },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  logLevel: 'Warn',
});
const project = await application.convert();
if (project) {
  application.validate(project);
  if (!application.logger.hasErrors()) await application.generateDocs(project, values.to);
}
await rm(copies, { recursive: true, force: true });
if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exit(1);
note(`${path.relative(root, values.to)}: ${pages.length} pages, and the API`);
