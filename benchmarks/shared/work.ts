// SPDX-License-Identifier: Apache-2.0
/** A case that a provider has prepared. */
export interface Work {
  /** One call, as a user makes it; results are dropped. */
  run(): void | Promise<void>;
  /** The results of one call, as float32 in our layout. */
  outputs(): Promise<Record<string, Float32Array>>;
  release(): void | Promise<void>;
}
