// SPDX-License-Identifier: Apache-2.0
/**
 * tfjs-xformers for Node: all that the main entry has.
 *
 * In this version there is no native library: on the `tensorflow` backend of
 * `@tensorflow/tfjs-node` and `@tensorflow/tfjs-node-gpu` the ops run as TensorFlow ops, in chunks.
 * `info().native` says the same. This entry is where a native library is loaded once there is one,
 * so programs that import it will not have to change.
 * @packageDocumentation
 */
export * from './index.js';
