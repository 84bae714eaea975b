// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { withoutLeak } from './leaks.js';

type ErrorClass = typeof RangeError | typeof TypeError;

/** An argument of a wrong type, as it may come from JavaScript. */
export function untyped<T>(value: unknown): T {
  return value as T;
}

/** A test that `f` throws an error of that class with exactly that message, and leaks nothing. */
export function rejects(name: string, f: () => unknown, type: ErrorClass, message: string): void {
  it(name, () =>
    withoutLeak(() => {
      let thrown: unknown;
      try {
        f();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).to.be.instanceOf(type);
      expect((thrown as Error).message).to.equal(message);
    }),
  );
}
