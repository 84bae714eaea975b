// SPDX-License-Identifier: Apache-2.0
/** The norms of qkNormAttention from their definitions, in float64. */
import type { QKNormArgs } from '../../src/layers/qk_norm/rules.js';
import { referenceNorm } from './reference_norm.js';

/** x [B, M, H, K] normed as `args` say, with the weights gamma and beta that there are. */
export function normDefinition(
  args: QKNormArgs,
  x: Float32Array,
  [batch, length, heads, dim]: readonly [number, number, number, number],
  weights: readonly Float32Array[],
): Float64Array {
  const { norm = 'layer', perHead = true, sharedAcrossHeads = true } = args;
  const [gamma, beta] = args.useGamma === false ? [undefined, weights[0]] : weights;
  const epsilon = args.epsilon ?? 1e-6;
  const channels = perHead ? dim : heads * dim;
  const rows = (batch * length * heads * dim) / channels;
  const weightOf = (values: Float32Array | undefined, row: number, c: number, none: number) =>
    values ? values[perHead && !sharedAcrossHeads ? (row % heads) * dim + c : c]! : none;
  if (norm === 'none') return Float64Array.from(x);
  const normed =
    norm === 'l2'
      ? l2(x, rows, channels, epsilon)
      : referenceNorm({ rows, channels, x, rms: norm === 'rms', epsilon }).output;
  const offset = gamma ? (args.weightOffset ?? 0) : 0;
  return normed.map((n, i) => {
    const [row, c] = [Math.floor(i / channels), i % channels];
    return n * (weightOf(gamma, row, c, 1) + offset) + weightOf(beta, row, c, 0);
  });
}

/** x / max(‖x‖, epsilon). */
function l2(x: Float32Array, rows: number, channels: number, epsilon: number): Float64Array {
  const output = Float64Array.from(x);
  for (let row = 0; row < rows; row++) {
    const part = output.subarray(row * channels, (row + 1) * channels);
    const length = Math.sqrt(part.reduce((sum, v) => sum + v * v, 0));
    part.forEach((v, c) => (part[c] = v / Math.max(length, epsilon)));
  }
  return output;
}
