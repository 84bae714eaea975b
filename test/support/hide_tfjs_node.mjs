// SPDX-License-Identifier: Apache-2.0
/** `node --import` this one: @tensorflow/tfjs-node is not there, as where nobody has installed it. */
import { register } from 'node:module';

const hooks = `
  export async function resolve(specifier, context, next) {
    if (specifier !== '@tensorflow/tfjs-node') return next(specifier, context);
    throw new Error("Cannot find package '@tensorflow/tfjs-node'");
  }`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
