// SPDX-License-Identifier: Apache-2.0
/**
 * What a suite knows of the backend that it runs on. A suite is a function `suite(backend: TestBackend): void`
 * in test/suites/<topic>.ts that calls describe/it; the entry points (node.test.ts, browser.test.ts) call every
 * suite for each backend and activate the backend before each of them.
 */

export type BackendName = 'cpu' | 'wasm' | 'webgl' | 'webgpu' | 'tensorflow';

export interface TestBackend {
  /** The name under which tfjs knows the backend. */
  readonly name: BackendName;

  /** Where the tests run. */
  readonly where: 'node' | 'chromium';

  /** Registers the backend where needed and makes it the current one. */
  activate(): Promise<void>;

  /** The bytes of a file; `path` is relative to test/golden, for example `attention.safetensors`. */
  readBytes(path: string): Promise<ArrayBuffer>;
}

/** A suite: the tests of one topic, to be run on every backend. */
export type Suite = (backend: TestBackend) => void;
