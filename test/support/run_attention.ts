// SPDX-License-Identifier: Apache-2.0
/** Runs the package under test on an attention case and reads the results. */
import * as tf from '@tensorflow/tfjs-core';
import {
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  memoryEfficientAttentionPacked,
  toBFloat16,
  toFloat32,
} from '../../src/index.js';
import type { FloatTensor } from '../../src/index.js';
import type { AttentionCase } from '../cases/attention.js';
import { maskFromDescription } from './mask_description.js';
import type { SeededAttention } from './seeded_attention.js';
import { withoutLeak } from './leaks.js';

type AttnBias = Parameters<typeof memoryEfficientAttention>[3];

export interface AttentionRun {
  output: Float32Array;
  /** null of packed operands, whose op does not return it. */
  logSumExp: Float32Array | null;
  outputShape: number[];
  outputDtype: string;
  logSumExpShape: number[] | null;
}

export type GradientName = 'query' | 'key' | 'value' | 'bias' | 'sink';

/** The float inputs of a case, by the names of their gradients; bfloat16 ones still float32. */
function leavesOf(s: SeededAttention): [GradientName, tf.Tensor][] {
  const leaves: [GradientName, tf.Tensor][] = [
    ['query', tf.tensor(s.query, s.shapes.query)],
    ['key', tf.tensor(s.key, s.shapes.key)],
    ['value', tf.tensor(s.value, s.shapes.value)],
  ];
  if (s.bias) leaves.push(['bias', tf.tensor(s.bias.values, s.bias.shape)]);
  if (s.sink) leaves.push(['sink', tf.tensor(s.sink)]);
  return leaves;
}

function attnBiasOf(c: AttentionCase, s: SeededAttention, bias: tf.Tensor | undefined): AttnBias {
  if (s.visible) return tf.tensor(s.visible.values, s.visible.shape, 'bool');
  if (!c.attnBias || c.attnBias.type === 'TensorBias') return bias ?? null;
  return maskFromDescription(c.attnBias, bias);
}

interface Attended {
  /** In the shape of the case, and still of the output's dtype unless it had to be transposed. */
  output: FloatTensor;
  dtype: string;
  logSumExp: tf.Tensor | null;
}

/** Calls the op, with the operands in the layout of the case; logSumExp is null unless it is wanted. */
function attend(
  c: AttentionCase,
  s: SeededAttention,
  leaves: Partial<Record<GradientName, tf.Tensor>>,
  wantsLogSumExp: boolean,
): Attended {
  const cast = (x: tf.Tensor) => (c.dtype === 'bfloat16' ? toBFloat16(x) : x);
  const swap = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]);
  const bias = attnBiasOf(c, s, leaves.bias);
  const options = {
    ...(c.scale !== null && { scale: c.scale }),
    ...(c.p && { p: c.p, seed: c.seed }),
    ...(c.softcap && { softcap: c.softcap }),
    ...(leaves.sink && { sink: leaves.sink }),
    ...(c.outputDtype && { outputDtype: c.outputDtype }),
    ...(c.saveDtype && { saveDtype: c.saveDtype }),
  };
  const operands = [leaves.query!, leaves.key!, leaves.value!] as const;
  if (c.layout === 'packed') {
    const heads = { numHeads: c.dims[3]!, numKvHeads: c.dims[4]! };
    const qkv = cast(tf.concat([...operands], 2));
    const output = memoryEfficientAttentionPacked(qkv, bias, { ...options, ...heads });
    return { output, dtype: output.dtype, logSumExp: null };
  }
  const isSwapped = c.layout === 'BHMK';
  const [q, k, v] = operands.map((x) => cast(isSwapped ? swap(x) : x)) as [
    FloatTensor,
    FloatTensor,
    FloatTensor,
  ];
  const all = { ...options, ...(isSwapped && { layout: 'BHMK' as const }) };
  const { output, logSumExp } = wantsLogSumExp
    ? memoryEfficientAttentionForward(q, k, v, bias, all)
    : { output: memoryEfficientAttention(q, k, v, bias, all), logSumExp: null };
  const { dtype } = output;
  return { output: isSwapped ? swap(toFloat32(output)) : output, dtype, logSumExp };
}

/** Output and logSumExp; throws if a tensor leaks. */
export function runAttention(c: AttentionCase, s: SeededAttention): Promise<AttentionRun> {
  return withoutLeak(async () => {
    const { output, logSumExp, dtype } = tf.tidy(
      () =>
        attend(c, s, Object.fromEntries(leavesOf(s)), true) as unknown as tf.TensorContainerObject,
    ) as unknown as Attended;
    const run = {
      output: (await output.data()) as Float32Array,
      logSumExp: logSumExp && ((await logSumExp.data()) as Float32Array),
      outputShape: output.shape,
      outputDtype: dtype,
      logSumExpShape: logSumExp && logSumExp.shape,
    };
    output.dispose();
    logSumExp?.dispose();
    return run;
  });
}

/** The gradients of all float inputs; throws if a tensor leaks. */
export function runAttentionGradients(
  c: AttentionCase,
  s: SeededAttention,
): Promise<Partial<Record<GradientName, Float32Array>>> {
  return withoutLeak(async () => {
    const [names, gradients] = tf.tidy(() => {
      const leaves = leavesOf(s);
      const names = leaves.map(([name]) => name);
      const named = (xs: tf.Tensor[]) =>
        Object.fromEntries(xs.map((x, index) => [names[index]!, x]));
      const doutput = tf.tensor(s.doutput, s.shapes.output);
      const xs = leaves.map(([, x]) => x);
      if (!s.dlogSumExp) {
        const f = (...inputs: tf.Tensor[]) => toFloat32(attend(c, s, named(inputs), false).output);
        return [names, tf.grads(f)(xs, doutput)] as const;
      }
      const f = (...inputs: tf.Tensor[]): tf.Tensor => {
        const { output, logSumExp } = attend(c, s, named(inputs), true);
        const dlogSumExp = tf.tensor(s.dlogSumExp!, logSumExp!.shape);
        return tf.add(
          tf.sum(tf.mul(toFloat32(output), doutput)),
          tf.sum(tf.mul(logSumExp!, dlogSumExp)),
        );
      };
      return [names, tf.grads(f)(xs)] as const;
    });
    const values: Partial<Record<GradientName, Float32Array>> = {};
    for (const [index, gradient] of gradients.entries()) {
      values[names[index]!] = (await gradient.data()) as Float32Array;
      gradient.dispose();
    }
    return values;
  });
}
