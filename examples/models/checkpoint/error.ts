// SPDX-License-Identifier: Apache-2.0
/** What is wrong with a checkpoint, and what to do about it. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
}
