// SPDX-License-Identifier: Apache-2.0
/**
 * Attention dropout without a stored mask: the weight of query i and key j is kept iff
 *
 *     mix(rowKey(seed, b, h, i) ^ (j * 0x165667B1 + 1)) >= floor(p * 2^32)        (mod 2^32)
 *
 * so forward and backward, on every backend, draw the same bits. i is the row of the query tensor,
 * j the row of the key tensor. `mix` is the 32-bit finalizer "lowbias32" (Wellons, "Prospecting for
 * hash functions", 2018); rowKey chains it over the row's coordinates, so a key costs one `mix`.
 */

/** A bijection of 32-bit integers in which each input bit flips each output bit half the time. */
export function mix(x: number): number {
  x = (x ^ (x >>> 16)) >>> 0;
  x = Math.imul(x, 0x7feb352d) >>> 0;
  x = (x ^ (x >>> 15)) >>> 0;
  x = Math.imul(x, 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

/** Key of the row of weights of query i, head h, batch item b. */
export function rowKey(seed: number, b: number, h: number, i: number): number {
  const batch = mix(mix(seed >>> 0) ^ (Math.imul(b, 0x85ebca6b) + 1));
  const head = mix(batch ^ (Math.imul(h, 0xc2b2ae35) + 1));
  return mix(head ^ (Math.imul(i, 0x27d4eb2f) + 1));
}

/** The draws below this are dropped. */
export function dropThreshold(p: number): number {
  return Math.floor(p * 4294967296) >>> 0;
}

/** Whether the weight of key j in the row with this key is kept. */
export function isKept(key: number, j: number, threshold: number): boolean {
  return mix(key ^ (Math.imul(j, 0x165667b1) + 1)) >= threshold;
}
