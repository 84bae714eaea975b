// SPDX-License-Identifier: Apache-2.0
/** The table at the end of `npm test`: a test that failed, crashed or was skipped is never lost in it. */
import { expect } from 'chai';

import { rowOf } from '../../scripts/test/table.mjs';
import { skip, type TestResult } from '../support/report.js';

function result(title: string, state: TestResult['state'], error?: string): TestResult {
  const suite = ['cpu (node)', 'topic'];
  return { suite, title, state, milliseconds: 1, ...(error === undefined ? {} : { error }) };
}

describe('test report', () => {
  it('counts what passed, failed and was skipped, and keeps each reason', () => {
    const row = rowOf(
      'cpu',
      'node',
      [
        result('a', 'passed'),
        result('b', 'failed', 'worst element 3'),
        result('c (skipped: no GPU)', 'skipped'),
        result('d (skipped: no GPU)', 'skipped'),
        result('e', 'skipped'),
      ],
      {},
    );
    expect(row.passed).to.equal(1);
    expect(row.failures).to.deep.equal([
      { name: 'cpu (node) › topic › b', error: 'worst element 3' },
    ]);
    expect([...row.skips]).to.deep.equal([
      ['no GPU', 2],
      ['e (no reason given)', 1],
    ]);
  });

  it('counts a crash as a failure and a part that was not run as skipped', () => {
    const crashed = rowOf('webgpu', 'node', [result('a', 'passed')], { crash: 'exit code 139' });
    expect(crashed.failures).to.deep.equal([{ name: 'webgpu (node)', error: 'exit code 139' }]);
    const absent = rowOf('tensorflow', 'node', [], { notRun: 'no libtensorflow' });
    expect([...absent.skips]).to.deep.equal([['not run: no libtensorflow', 1]]);
    expect(absent.failures).to.deep.equal([]);
  });

  it('tells the reason of a skipped test', function () {
    const runnable = { title: 'needs subgroups' };
    const context = {
      runnable: () => runnable,
      skip() {
        throw new Error('pending');
      },
    };
    expect(() => skip(context as unknown as Mocha.Context, 'no subgroups')).to.throw('pending');
    expect(runnable.title).to.equal('needs subgroups (skipped: no subgroups)');
  });
});
