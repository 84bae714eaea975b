// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs-xformers for Node: all that the main entry has, and the native library, whose fused kernels
 * serve the `tensorflow` backend of `@tensorflow/tfjs-node` and `@tensorflow/tfjs-node-gpu`.
 *
 * Import it after one of those two. If it comes first, the kernels come into use as soon as one of
 * them is there. Where no library fits, the ops run as TensorFlow ops, in chunks: one warning and
 * `info().native` say why, and what to do.
 * @packageDocumentation
 */
import './register.js';
import { registerNativeLibrary } from './tensorflow/register.js';

registerNativeLibrary();

export * from './index.js';
