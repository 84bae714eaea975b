// SPDX-License-Identifier: Apache-2.0
/**
 * The layers as an entry of its own, which registers all of their classes for `tf.loadLayersModel`.
 *
 * Importing `layers` from the main entry does so too, except in a bundle, where only what is used is
 * left. A program that loads saved models without naming their layers imports this entry.
 *
 * @example
 * import 'tfjs-xformers/layers';
 * const model = await tf.loadLayersModel('https://example.com/model.json');
 * @packageDocumentation
 */
import './register.js';

export * from './layers/registered.js';
