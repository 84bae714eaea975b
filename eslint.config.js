// SPDX-License-Identifier: Apache-2.0
import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * Forbids imports of modules that match a pattern, types excepted.
 *
 * @param {string[]} files
 * @param {{regex: string, message: string}[]} patterns
 */
const forbidImports = (files, patterns) => ({
  files,
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: patterns.map((pattern) => ({ ...pattern, allowTypeImports: true })) },
    ],
  },
});

const peersOnly = {
  regex: '^@tensorflow/(?!tfjs-(core|layers)$)',
  message: 'src imports tfjs-core and tfjs-layers only; the user brings the rest.',
};
const loadedLater = {
  regex:
    '/webgpu/(?!(loading|ready|autotune|warmup|warmup_spec|register_backend|backend|software_adapter)\\.js$)',
  message: 'Browsers load the rest of src/webgpu later: reach it through webgpu/loading.ts.',
};
const notTheEntry = {
  regex: '^(\\.\\./)+index\\.js$',
  message: 'Import from the module itself: the entry point would bring a cycle.',
};

export default defineConfig(
  { ignores: ['dist/', '.cache/', 'node_modules/', 'native/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // It objects to `runKernel(…) as Tensor`, for which TypeScript has no better word.
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      eqeqeq: 'error',
      // The type checker knows every name.
      'no-undef': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    // chai's assertions are expressions: expect(x).to.be.true
    rules: { '@typescript-eslint/no-unused-expressions': 'off' },
  },
  {
    files: ['scripts/**/*.mjs'],
    // The linter does not see casts in JSDoc; the type checker does.
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off' },
  },
  { files: ['*.js'], extends: [tseslint.configs.disableTypeChecked] },
  forbidImports(['src/**/*.ts'], [peersOnly, notTheEntry, loadedLater]),
  forbidImports(['src/register*.ts', 'src/webgpu/**/*.ts'], [peersOnly, notTheEntry]),
  forbidImports(
    ['src/spec/**/*.ts'],
    [
      {
        regex: '^(\\.\\./|@)',
        message: 'spec is the specification: it imports nothing but types.',
      },
    ],
  ),
  forbidImports(
    ['src/layers/**/*.ts'],
    [
      peersOnly,
      notTheEntry,
      {
        regex: '^(\\.\\./)+(?!ops/|bf16/|spec/|attn_bias/|layers/|\\.\\./)',
        message: 'layers build on ops, bf16, spec and attn_bias only.',
      },
    ],
  ),
);
