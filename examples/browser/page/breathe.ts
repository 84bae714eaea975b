// SPDX-License-Identifier: Apache-2.0

/**
 * Lets the browser paint and answer before work goes on. A timer, not an animation frame: those stand still in a tab
 * that nobody sees, and learning should not.
 */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
