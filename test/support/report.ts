// SPDX-License-Identifier: Apache-2.0
/** How a run is told: the result format that scripts/test.mjs reads, and tests that say why they were skipped. */
import type { TestBackend } from './backends.js';

/** One test, as the reporters write it and scripts/test.mjs reads it. */
export interface TestResult {
  /** The titles of the enclosing describes, outermost first. */
  suite: string[];
  title: string;
  state: 'passed' | 'failed' | 'skipped';
  milliseconds: number;
  /** Message and stack of a failure. */
  error?: string;
}

/** The title of the outermost describe of a backend's tests; scripts/test.mjs reads name and place from it. */
export function backendTitle(backend: Pick<TestBackend, 'name' | 'where'>): string {
  return `${backend.name} (${backend.where})`;
}

/**
 * Skips the running test, or from a `before` hook all tests of its describe, and has the reason reported.
 *
 * @param context `this` of the test or hook, which therefore is a `function`, not an arrow
 * @example
 * it('needs subgroups', function () {
 *   if (!hasSubgroups) skip(this, 'the adapter has no subgroups');
 * });
 */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable();
  const tests: Mocha.Runnable[] = [];
  if ('type' in runnable && runnable.type === 'hook') {
    runnable.parent?.eachTest((test) => tests.push(test));
  } else {
    tests.push(runnable);
  }
  for (const test of tests) {
    test.title = `${test.title} (skipped: ${reason})`;
  }
  return context.skip();
}
