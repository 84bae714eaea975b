// SPDX-License-Identifier: Apache-2.0
/** Mocha's spec reporter for Node, which also writes every result to the JSON file that TFXF_RESULTS names. */
import { writeFileSync } from 'node:fs';

import Mocha from 'mocha';

import type { TestResult } from './report.js';

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } =
  Mocha.Runner.constants;

function describe(
  test: Mocha.Runnable,
  state: TestResult['state'],
  failure?: { message?: string; stack?: string },
): TestResult {
  const path = test.titlePath();
  const result: TestResult = {
    suite: path.slice(0, -1),
    title: path.at(-1) ?? '',
    state,
    milliseconds: test.duration ?? 0,
  };
  if (failure !== undefined) {
    result.error = failure.stack ?? failure.message ?? 'unknown error';
  }
  return result;
}

export default class SpecAndFileReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const results: TestResult[] = [];
    runner.on(EVENT_TEST_PASS, (test) => results.push(describe(test, 'passed')));
    runner.on(EVENT_TEST_PENDING, (test) => results.push(describe(test, 'skipped')));
    runner.on(EVENT_TEST_FAIL, (test, error: Error) =>
      results.push(describe(test, 'failed', error)),
    );
    runner.once(EVENT_RUN_END, () => {
      const file = process.env['TFXF_RESULTS'];
      if (file !== undefined) {
        writeFileSync(file, JSON.stringify(results, null, 1));
      }
    });
  }
}
