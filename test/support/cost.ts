// SPDX-License-Identifier: Apache-2.0
/** Which cases a backend has the time for, and that they are reported where it has not. */
import type { TestBackend } from './backends.js';

/** Rough GFLOP/s of attention here: 2 cores, and a GPU that is emulated on them. */
const RATE: Record<TestBackend['name'], number> = {
  cpu: 0.2,
  wasm: 4,
  webgl: 0.15,
  webgpu: 1,
  tensorflow: 20,
};

const LIMIT_SECONDS = 10;

/** Why a case of this many floating point operations is not run on the backend; null: it is. */
export function tooSlow(backend: TestBackend, flops: number): string | null {
  const seconds = flops / (RATE[backend.name] * 1e9);
  if (seconds <= LIMIT_SECONDS) return null;
  return `it would take about ${Math.round(seconds)} s on ${backend.name}`;
}

/**
 * Why a case that repeats a kind is left out: where every new shape compiles a shader, of kernels that other backends
 * run as well. null: it is run.
 * @param kept whether it stands for its kind.
 */
export function repeated({ name }: TestBackend, kept = false): string | null {
  if (name !== 'webgl' || kept) return null;
  return 'compiles a shader for each shape; cpu and wasm run the same kernels';
}

/**
 * Why a case of a variant that devices here do not choose themselves is left out in a page: the same shader runs in
 * Node, on the same software adapter. null: it is run.
 * @param kept whether it stands for its variant.
 */
export function shownInNode({ where }: TestBackend, kept = false): string | null {
  if (where === 'node' || kept) return null;
  return 'a variant whose cases Node runs on the same adapter, all but one';
}

/** A test, or one that is reported as skipped with the reason in its title. */
export function itUnless(
  reason: string | null,
  title: string,
  test: (this: Mocha.Context) => Promise<void> | void,
): void {
  if (reason === null) {
    it(title, test);
  } else {
    it(`${title} (skipped: ${reason})`, function () {
      this.skip();
    });
  }
}
