// SPDX-License-Identifier: Apache-2.0
/** What `npm test` prints at its end. */
import { seconds, step } from '../console.mjs';

/** @typedef {import('../../test/support/report.js').TestResult} TestResult */
/**
 * @typedef {object} Row the results of one backend in one place
 * @property {string} backend
 * @property {string} where
 * @property {number} passed
 * @property {{name: string, error: string}[]} failures
 * @property {Map<string, number>} skips the number of tests skipped for each reason
 * @property {number} milliseconds
 */

const reasonPattern = /\(skipped: (.*)\)$/;

/**
 * Sums up the results of one backend.
 *
 * @param {string} backend
 * @param {string} where
 * @param {readonly TestResult[]} results
 * @param {{notRun?: string, crash?: string, milliseconds?: number}} circumstances `notRun`: why it was not started, which
 *     counts as one skipped test; `crash`: how the process ended, which counts as one failure.
 * @returns {Row}
 */
export function rowOf(backend, where, results, { notRun, crash, milliseconds }) {
  /** @type {Row} */
  const row = { backend, where, passed: 0, failures: [], skips: new Map(), milliseconds: 0 };
  for (const { suite, title, state, error, milliseconds: took } of results) {
    row.milliseconds += took;
    if (state === 'passed') {
      row.passed++;
    } else if (state === 'failed') {
      row.failures.push({ name: [...suite, title].join(' › '), error: error ?? 'no message' });
    } else {
      const reason = reasonPattern.exec(title)?.[1] ?? `${title} (no reason given)`;
      row.skips.set(reason, (row.skips.get(reason) ?? 0) + 1);
    }
  }
  if (milliseconds !== undefined) row.milliseconds = milliseconds;
  if (notRun !== undefined) row.skips.set(`not run: ${notRun}`, 1);
  if (crash !== undefined) row.failures.push({ name: `${backend} (${where})`, error: crash });
  return row;
}

/** @param {Row} row */
function skipped(row) {
  return [...row.skips.values()].reduce((sum, count) => sum + count, 0);
}

/** @param {readonly Row[]} rows */
export function printSkips(rows) {
  if (!rows.some((row) => row.skips.size > 0)) return;
  step('Skipped');
  for (const row of rows) {
    for (const [reason, count] of row.skips) {
      console.log(`   ${row.backend} (${row.where}): ${count} × ${reason}`);
    }
  }
}

/** @param {readonly Row[]} rows */
export function printFailures(rows) {
  if (!rows.some((row) => row.failures.length > 0)) return;
  step('Failed');
  for (const row of rows) {
    for (const { name, error } of row.failures) {
      console.log(`   ${name}`);
      for (const line of error.split('\n').slice(0, 6)) console.log(`      ${line}`);
    }
  }
}

/** @param {readonly Row[]} rows */
export function printTable(rows) {
  step('Tests by backend');
  const head = ['backend', 'where', 'passed', 'failed', 'skipped', 'time'];
  const lines = rows.map((row) => [
    row.backend,
    row.where,
    String(row.passed),
    String(row.failures.length),
    String(skipped(row)),
    seconds(row.milliseconds),
  ]);
  const widths = head.map((title, i) =>
    Math.max(title.length, ...lines.map((line) => line[i]?.length ?? 0)),
  );
  for (const line of [head, ...lines]) {
    const cells = line.map((cell, i) =>
      i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    console.log(`   ${cells.join('  ')}`);
  }
}

/**
 * Prints the totals, in mocha's form and as one plain line, which is the last.
 *
 * @param {readonly Row[]} rows
 * @returns {number} how many failed
 */
export function printTotals(rows) {
  let passed = 0;
  let failed = 0;
  let pending = 0;
  for (const row of rows) {
    passed += row.passed;
    failed += row.failures.length;
    pending += skipped(row);
  }
  console.log(`\n  ${passed} passing\n  ${failed} failing\n  ${pending} pending\n`);
  console.log(`${passed} passed, ${failed} failed, ${pending} skipped`);
  return failed;
}
