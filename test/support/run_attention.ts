// SPDX-License-Identifier: Apache-2.0
/** Runs the package under test on an attention case and reads the results. */
import * as tf from '@tensorflow/tfjs-core';
import {
  memoryEfficientAttention,
  memoryEfficientAttentionForward,
  toBFloat16,
  toFloat32,
} from '../../src/index.js';
import type { AttentionCase } from '../cases/attention.js';
import { maskFromDescription } from './mask_description.js';
import type { SeededAttention } from './seeded_attention.js';
import { withoutLeak } from './leaks.js';

type AttnBias = Parameters<typeof memoryEfficientAttention>[3];

export interface AttentionRun {
  output: Float32Array;
  logSumExp: Float32Array;
  outputShape: number[];
  outputDtype: string;
  logSumExpShape: number[];
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

/** The arguments of the op, from the leaves. */
function argumentsOf(
  c: AttentionCase,
  s: SeededAttention,
  leaves: Partial<Record<GradientName, tf.Tensor>>,
): Parameters<typeof memoryEfficientAttention> {
  const cast = (x: tf.Tensor) => (c.dtype === 'bfloat16' ? toBFloat16(x) : x);
  return [
    cast(leaves.query!),
    cast(leaves.key!),
    cast(leaves.value!),
    attnBiasOf(c, s, leaves.bias),
    {
      ...(c.scale !== null && { scale: c.scale }),
      ...(c.p && { p: c.p, seed: c.seed }),
      ...(c.softcap && { softcap: c.softcap }),
      ...(leaves.sink && { sink: leaves.sink }),
      ...(c.outputDtype && { outputDtype: c.outputDtype }),
    },
  ];
}

/** Output and logSumExp; throws if a tensor leaks. */
export function runAttention(c: AttentionCase, s: SeededAttention): Promise<AttentionRun> {
  return withoutLeak(async () => {
    const { output, logSumExp } = tf.tidy(() =>
      memoryEfficientAttentionForward(...argumentsOf(c, s, Object.fromEntries(leavesOf(s)))),
    );
    const run = {
      output: (await output.data()) as Float32Array,
      logSumExp: (await logSumExp.data()) as Float32Array,
      outputShape: output.shape,
      outputDtype: output.dtype,
      logSumExpShape: logSumExp.shape,
    };
    output.dispose();
    logSumExp.dispose();
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
        const f = (...inputs: tf.Tensor[]) =>
          toFloat32(memoryEfficientAttention(...argumentsOf(c, s, named(inputs))));
        return [names, tf.grads(f)(xs, doutput)] as const;
      }
      const f = (...inputs: tf.Tensor[]): tf.Tensor => {
        const { output, logSumExp } = memoryEfficientAttentionForward(
          ...argumentsOf(c, s, named(inputs)),
        );
        const dlogSumExp = tf.tensor(s.dlogSumExp!, logSumExp.shape);
        return tf.add(
          tf.sum(tf.mul(toFloat32(output), doutput)),
          tf.sum(tf.mul(logSumExp, dlogSumExp)),
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
