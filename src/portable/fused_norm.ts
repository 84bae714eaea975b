// SPDX-License-Identifier: Apache-2.0
/**
 * Layer norm and RMS norm in plain tfjs ops.
 *
 *   h = x (+ residual)      c = h - mean(h)      rstd = 1 / sqrt(mean(c²) + epsilon)
 *   output = c * rstd * (gamma + weightOffset) + beta                    (RMS norm: c = h)
 *
 * Every op is a pass over memory here, about ten of them; all arithmetic is float32.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { unpackInputs } from '../kernel_names.js';
import type { NormAttrs, NormGradAttrs, NormGradInputs, NormInputs } from '../kernel_names.js';
import type { FloatDType } from '../spec/dtype.js';
import { sizeOf } from '../spec/shape.js';
import { narrow, portableKernel, widen } from './portable_kernel.js';

/** x as a matrix of the rows that are normed one by one. */
function asRows(x: Tensor): Tensor2D {
  return tf.reshape(x, rowShape(x.shape));
}

function rowShape(shape: number[]): [number, number] {
  return [sizeOf(shape.slice(0, -1)), shape[shape.length - 1]!];
}

/**
 * Subtracts the mean of each row from it. A mean of large values is rounded by up to half its ulp,
 * which would shift the whole row; the mean of the differences is that shift, and is taken off too.
 */
function centre(rows: Tensor2D, rounded: Tensor): { centred: Tensor; mean: Tensor } {
  const differences = tf.sub(rows, rounded);
  const shift = tf.mean(differences, 1, true);
  return { centred: tf.sub(differences, shift), mean: tf.add(rounded, shift) };
}

function factor(gamma: Tensor, dtype: FloatDType, weightOffset: number): Tensor {
  const weight = widen(gamma, dtype);
  return weightOffset === 0 ? weight : tf.add(weight, weightOffset);
}

/** (mean, rstd) columns and the normed rows, before gamma and beta. */
function normRows(
  rows: Tensor2D,
  kind: NormAttrs['kind'],
  epsilon: number,
): { normed: Tensor; stats: Tensor } {
  const { centred, mean: means } =
    kind === 'layer'
      ? centre(rows, tf.mean(rows, 1, true))
      : { centred: rows, mean: tf.zeros([rows.shape[0], 1]) };
  const rstd = tf.div(1, tf.sqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)));
  return { normed: tf.mul(centred, rstd), stats: tf.concat([means, rstd], 1) };
}

/** Without elements there are no means to take; rstd is that of a variance of 0. */
function normNothing(shape: number[], attrs: NormAttrs): { output: Tensor; stats: Tensor } {
  const [rows] = rowShape(shape);
  const rstd = tf.fill([rows, 1], 1 / Math.sqrt(attrs.epsilon));
  return {
    output: narrow(tf.zeros(shape), attrs.outputDtype),
    stats: tf.concat([tf.zeros([rows, 1]), rstd], 1),
  };
}

function computeNorm(list: Tensor[], attrs: NormAttrs): Tensor[] {
  const inputs = unpackInputs<NormInputs<Tensor>>(attrs.present, list);
  const shape = inputs.x.shape;
  const x = widen(inputs.x, attrs.xDtype);
  const total = inputs.residual && tf.add(x, widen(inputs.residual, attrs.residualDtype));
  if (inputs.x.size === 0) {
    const { output, stats } = normNothing(shape, attrs);
    return total ? [output, stats, total] : [output, stats];
  }
  const { normed, stats } = normRows(asRows(total ?? x), attrs.kind, attrs.epsilon);
  const { gamma, beta } = inputs;
  const scaled = gamma
    ? tf.mul(normed, factor(gamma, attrs.gammaDtype, attrs.weightOffset))
    : normed;
  const shifted = beta ? tf.add(scaled, widen(beta, attrs.betaDtype)) : scaled;
  const output = narrow(tf.reshape(shifted, shape), attrs.outputDtype);
  return total ? [output, stats, total] : [output, stats];
}

/**
 *   g = dy * (gamma + weightOffset)      xhat = c * rstd
 *   dx = rstd * (g - mean(g) - xhat * mean(g * xhat)) (+ dsum)           (RMS norm: no mean(g))
 *   dgamma = column sum of dy * xhat      dbeta = column sum of dy
 */
function computeNormGrad(list: Tensor[], attrs: NormGradAttrs): Tensor[] {
  const inputs = unpackInputs<NormGradInputs<Tensor>>(attrs.present, list);
  const { gamma, dsum } = inputs;
  const shape = inputs.x.shape;
  const [rows, columns] = rowShape(shape);
  if (inputs.x.size === 0) {
    const weights = (gamma ? 1 : 0) + (attrs.hasBeta ? 1 : 0);
    return [tf.zeros(shape), ...Array.from({ length: weights }, () => tf.zeros([columns]))];
  }
  const x = asRows(widen(inputs.x, attrs.xDtype));
  const dy = asRows(inputs.dy);
  const rstd = tf.slice(inputs.stats, [0, 1], [rows, 1]);
  const isLayer = attrs.kind === 'layer';
  const centred = isLayer ? centre(x, tf.slice(inputs.stats, [0, 0], [rows, 1])).centred : x;
  const normed = tf.mul(centred, rstd);
  const g = gamma ? tf.mul(dy, factor(gamma, attrs.gammaDtype, attrs.weightOffset)) : dy;
  const alongRow = tf.mul(normed, tf.mean(tf.mul(g, normed), 1, true));
  const acrossRow = isLayer ? tf.sub(g, tf.mean(g, 1, true)) : g;
  const dx = tf.reshape(tf.mul(rstd, tf.sub(acrossRow, alongRow)), shape);
  const gradients = [dsum ? tf.add(dx, dsum) : dx];
  if (gamma) gradients.push(tf.sum(tf.mul(dy, normed), 0));
  if (attrs.hasBeta) gradients.push(tf.sum(dy, 0));
  return gradients;
}

/** FusedNorm for any backend; takes an array of Tensors. */
export const portableFusedNorm = portableKernel(computeNorm);
/** FusedNormGrad for any backend; takes an array of Tensors. */
export const portableFusedNormGrad = portableKernel(computeNormGrad);
