// SPDX-License-Identifier: Apache-2.0
/** One thing computes at a time: two would share the device, and the times that they show would be wrong. */
let current: string | undefined;

/**
 * Takes the device for a while.
 *
 * @param what for people: "learning", "measuring"
 * @returns what is under way already, in which case nothing was taken
 */
export function takeTurn(what: string): string | undefined {
  if (current !== undefined) return current;
  current = what;
  return undefined;
}

export function endTurn(): void {
  current = undefined;
}
