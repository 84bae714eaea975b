// SPDX-License-Identifier: Apache-2.0

/** A failure of registerWebGPUBackend that is no mistake in the arguments: what was found, and the mend. */
export function failure(found: string, mend: string): Error {
  return new Error(`registerWebGPUBackend: ${found}. ${mend}`);
}
