// SPDX-License-Identifier: Apache-2.0

/** The logit of the k-th most likely token. */
function kthHighest(logits: ArrayLike<number>, k: number): number {
  return Array.from(logits).sort((a, b) => b - a)[Math.min(k, logits.length) - 1]!;
}

/**
 * Draws a token by softmax(logits / temperature).
 *
 * @param temperature 0 takes the most likely token.
 * @param topK only so many of the most likely tokens can be drawn, and those as likely as the last of them.
 */
export function drawToken(
  logits: ArrayLike<number>,
  temperature: number,
  random: () => number,
  topK = Infinity,
): number {
  const least = Number.isFinite(topK) ? kthHighest(logits, topK) : -Infinity;
  const highest = Array.from(logits).reduce((most, logit) => Math.max(most, logit), -Infinity);
  if (temperature === 0) return Array.from(logits).indexOf(highest);
  const weights = Array.from(logits, (logit) =>
    logit < least ? 0 : Math.exp((logit - highest) / temperature),
  );
  let left = random() * weights.reduce((total, weight) => total + weight, 0);
  const token = weights.findIndex((weight) => (left -= weight) < 0);
  // By rounding nothing may be left over: then the last one that can be drawn.
  return token < 0 ? weights.map((weight) => weight > 0).lastIndexOf(true) : token;
}
