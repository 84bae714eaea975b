// SPDX-License-Identifier: Apache-2.0
/** The browser tests: test/browser.test.ts as one bundle in headless Chromium, on its software adapters. */
import { writeFileSync } from 'node:fs';

import { build } from 'esbuild';

import { findChromium, headlessFlags, softwareFlags } from './scripts/setup/chromium.mjs';

const entry = 'test/browser.test.ts';

process.env.CHROME_BIN ??= findChromium();

/** Bundles a TypeScript file with all that it imports. */
const bundle = (logger) => async (_content, file, done) => {
  try {
    const result = await build({
      entryPoints: [file.originalPath],
      bundle: true,
      write: false,
      format: 'iife',
      target: 'es2022',
      sourcemap: 'inline',
      logLevel: 'silent',
    });
    file.path = file.originalPath.replace(/\.ts$/, '.js');
    done(null, result.outputFiles[0].text);
  } catch (error) {
    logger.create('bundle').error(error.message);
    done(error);
  }
};
bundle.$inject = ['logger'];

/** Writes every result to the file that TFXF_RESULTS names, in the format of test/support/report.ts. */
function FileReporter() {
  const results = [];
  this.adapters = [];
  this.onSpecComplete = (_browser, { suite, description, skipped, success, time, log }) => {
    const state = skipped ? 'skipped' : success ? 'passed' : 'failed';
    const error = log.length > 0 ? log.join('\n') : undefined;
    results.push({ suite, title: description, state, milliseconds: time, error });
  };
  this.onRunComplete = () => {
    const file = process.env.TFXF_RESULTS;
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify(results, null, 1));
    }
  };
}

/** Served, but not loaded: what the tests fetch. */
const served = (pattern) => ({ pattern, included: false, watched: false });

export default (config) =>
  config.set({
    frameworks: ['mocha'],
    files: [
      { pattern: entry, watched: false },
      served('test/golden/*'),
      served('node_modules/@tensorflow/tfjs-backend-wasm/dist/*.wasm'),
    ],
    preprocessors: { [entry]: ['bundle', 'sourcemap'] },
    mime: { 'text/javascript': ['ts'] },
    plugins: [
      'karma-mocha',
      'karma-chrome-launcher',
      'karma-mocha-reporter',
      'karma-sourcemap-loader',
      { 'preprocessor:bundle': ['factory', bundle] },
      { 'reporter:file': ['type', FileReporter] },
    ],
    reporters: ['mocha', 'file'],
    browsers: ['HeadlessChromium'],
    customLaunchers: {
      HeadlessChromium: {
        base: 'Chrome',
        flags: [...headlessFlags, ...softwareFlags],
      },
    },
    client: {
      args: [`--backends=${process.env.TFXF_BACKENDS ?? ''}`],
      mocha: { timeout: 120_000, grep: process.env.TFXF_GREP },
    },
    singleRun: true,
    autoWatch: false,
    logLevel: config.LOG_WARN,
    captureTimeout: 120_000,
    browserNoActivityTimeout: 300_000,
    browserDisconnectTimeout: 60_000,
  });
