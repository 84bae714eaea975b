// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isBFloat16 } from '../bf16/bfloat16_tensor.js';
import type { FloatTensor } from '../spec/dtype.js';
import { describe, rangeError, typeError } from '../spec/errors.js';
import { sameShape } from '../spec/shape.js';
import { checkFloat32Tensor, checkFloatTensor } from './arguments.js';
import { toBFloat16, toFloat32 } from './bfloat16.js';

const OP = 'mergeAttentions';
/** The lowest finite float32. */
const LOWEST = -3.4028234663852886e38;

/**
 * Weights of the parts [n, B, H, Mq], a softmax over n, and its logSumExp [B, H, Mq]. -Infinity
 * becomes the lowest finite number first: shaders may not be trusted with infinities.
 */
function softmaxOverParts(parts: Tensor): { weights: Tensor; logSumExp: Tensor } {
  const finite = tf.maximum(parts, LOWEST);
  const peak = tf.max(finite, 0);
  const noKeys = tf.lessEqual(peak, LOWEST);
  const centre = tf.where(noKeys, tf.zerosLike(peak), peak);
  const shares = tf.exp(tf.sub(finite, centre));
  const total = tf.where(noKeys, tf.onesLike(peak), tf.sum(shares, 0));
  return {
    weights: tf.div(shares, total),
    logSumExp: tf.where(noKeys, tf.fill(peak.shape, -Infinity), tf.add(centre, tf.log(total))),
  };
}

/** weights * x, where a weight of 0 hides even an infinite x. */
function weighted(weights: Tensor, x: Tensor): Tensor {
  return tf.where(tf.equal(weights, 0), tf.zerosLike(weights), tf.mul(weights, x));
}

// Gradients by hand: tfjs cannot pass one through the comparisons that keep infinities apart.

const weightsOf = tf.customGrad((parts, save) => {
  const { weights } = softmaxOverParts(parts as Tensor);
  (save as tf.GradSaveFunc)([weights]);
  const gradFunc = (dweights: Tensor, [saved]: Tensor[]) => {
    const products = weighted(saved!, dweights);
    return tf.sub(products, tf.mul(saved!, tf.sum(products, 0)));
  };
  return { value: weights, gradFunc };
});

const logSumExpOf = tf.customGrad((parts, save) => {
  const { weights, logSumExp } = softmaxOverParts(parts as Tensor);
  (save as tf.GradSaveFunc)([weights]);
  const gradFunc = (dlogSumExp: Tensor, [saved]: Tensor[]) => weighted(saved!, dlogSumExp);
  return { value: logSumExp, gradFunc };
});

/**
 * Joins attention outputs over parts of the keys into the output over all of them:
 *
 *     logSumExp = log(sum over parts of exp(logSumExp_n))
 *     output    = sum over parts of exp(logSumExp_n - logSumExp) * output_n
 *
 * Each part comes from memoryEfficientAttentionForward with the same queries. A part in which a
 * query sees no key (logSumExp -Infinity) adds nothing; a query without keys in any part gets 0 and
 * -Infinity, and zero gradients. Differentiable in all arguments.
 *
 * @param outputs [B, Mq, H, V] each (or rank 3 or 5, as the attention ops give them), all float32
 *   or all bfloat16.
 * @param logSumExps float32 [B, H, Mq] each, as many as there are outputs.
 * @returns `output` in the shape and dtype of the parts, and `logSumExp` float32 [B, H, Mq].
 * @throws TypeError for no lists, or wrong or mixed dtypes; RangeError for empty lists, lists of
 *   different lengths, or shapes that differ.
 * @example
 * const a = memoryEfficientAttentionForward(q, k1, v1);
 * const b = memoryEfficientAttentionForward(q, k2, v2);
 * const { output } = mergeAttentions([a.output, b.output], [a.logSumExp, b.logSumExp]);
 */
export function mergeAttentions(
  outputs: readonly FloatTensor[],
  logSumExps: readonly Tensor[],
): { output: FloatTensor; logSumExp: Tensor } {
  const first = check(outputs, logSumExps);
  return tf.tidy(() => {
    const parts = tf.stack([...logSumExps]);
    const weights = tf.unstack(weightsOf(parts));
    const { shape } = first;
    const wide = [shape[0]!, shape[1]!, logSumExps[0]!.shape[1]!, shape[shape.length - 1]!];
    const products = outputs.map((output, index) => {
      const byRow = tf.expandDims(tf.transpose(weights[index]!, [0, 2, 1]), 3);
      return tf.mul(tf.reshape(toFloat32(output), wide), byRow);
    });
    const output = tf.reshape(
      products.reduce((sum, part) => tf.add(sum, part)),
      shape,
    );
    return {
      output: isBFloat16(first) ? toBFloat16(output) : output,
      logSumExp: logSumExpOf(parts),
    };
  });
}

/** Throws unless all parts fit together; returns the first output. */
function check(outputs: readonly FloatTensor[], logSumExps: readonly Tensor[]): FloatTensor {
  checkList('outputs', outputs);
  checkList('logSumExps', logSumExps);
  if (outputs.length !== logSumExps.length) {
    throw rangeError({
      op: OP,
      argument: 'logSumExps',
      expected: `of ${outputs.length} tensors, one for each output`,
      got: `${logSumExps.length}`,
      mend: 'Take both from memoryEfficientAttentionForward.',
    });
  }
  outputs.forEach((output, index) => checkOutput(output, index, outputs[0]!));
  const first = outputs[0]!;
  const [batch, queries] = first.shape;
  const heads = first.shape.slice(2, -1).reduce((product, n) => product * n, 1);
  const wanted = [batch!, heads, queries!];
  logSumExps.forEach((logSumExp, index) => {
    const argument = `logSumExps[${index}]`;
    checkFloat32Tensor(OP, argument, logSumExp);
    if (!sameShape(logSumExp.shape, wanted)) {
      throw rangeError({
        op: OP,
        argument,
        expected: `of shape ${describe(wanted)}, [B, H, Mq] of the outputs`,
        got: `shape ${describe(logSumExp.shape)}`,
        mend: 'Take it from the call of memoryEfficientAttentionForward that made the output.',
      });
    }
  });
  return first;
}

function checkList(argument: string, list: unknown): void {
  if (!Array.isArray(list)) {
    throw typeError({
      op: OP,
      argument,
      expected: 'an array of tensors',
      got: describe(list),
      mend: 'Wrap a single tensor in an array.',
    });
  }
  if (list.length === 0) {
    throw rangeError({
      op: OP,
      argument,
      expected: 'at least one tensor',
      got: '[]',
      mend: 'Pass the parts to be merged.',
    });
  }
}

function checkOutput(output: FloatTensor, index: number, first: FloatTensor): void {
  const argument = `outputs[${index}]`;
  checkFloatTensor(OP, argument, output);
  if (output.rank < 3 || output.rank > 5) {
    throw rangeError({
      op: OP,
      argument,
      expected: 'of rank 3, 4 or 5',
      got: `shape ${describe(output.shape)}`,
      mend: 'Pass outputs as the attention ops return them: [B, Mq, H, V].',
    });
  }
  if (output.dtype !== first.dtype) {
    throw typeError({
      op: OP,
      argument,
      expected: `${first.dtype}, like outputs[0]`,
      got: output.dtype,
      mend: 'Convert with toFloat32() or toBFloat16().',
    });
  }
  if (!sameShape(output.shape, first.shape)) {
    throw rangeError({
      op: OP,
      argument,
      expected: `of shape ${describe(first.shape)}, like outputs[0]`,
      got: `shape ${describe(output.shape)}`,
      mend: 'All parts have the same queries and head dims.',
    });
  }
}
