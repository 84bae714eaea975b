// SPDX-License-Identifier: Apache-2.0
/** Loads tfjs-node with this package's native kernels, or plain tfjs where tfjs-node is missing. */
import os from 'node:os';

import type { SummaryFileWriter } from '@tensorflow/tfjs-node/dist/tensorboard.js';

import { UsageError } from '../shared/usage.js';
import type { Backend } from './options.js';

export interface Device {
  /** For people: what computes. */
  description: string;
  /** tf.node.summaryFileWriter, where there is tfjs-node. */
  summaryFileWriter?: (folder: string) => SummaryFileWriter;
}

interface TfjsNode {
  node: { summaryFileWriter: (folder: string) => SummaryFileWriter };
}

function processor(): string {
  return `${os.cpus()[0]?.model.trim() ?? process.arch}, ${os.availableParallelism()} threads`;
}

async function loadTfjsNode(name: 'tfjs-node' | 'tfjs-node-gpu'): Promise<Device> {
  // TensorFlow's own log: errors and warnings, not what it found out about the processor.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
  const imported = (await (name === 'tfjs-node'
    ? import('@tensorflow/tfjs-node')
    : import('@tensorflow/tfjs-node-gpu'))) as unknown as TfjsNode;
  const { info } = await import('../../src/node.js');
  const { loaded, isa } = info().native;
  const kernels = loaded ? `native kernels for ${isa}` : 'without native kernels';
  return {
    description: `TensorFlow through ${name}, ${kernels}, on ${processor()}`,
    summaryFileWriter: (folder) => imported.node.summaryFileWriter(folder),
  };
}

async function loadTfjs(): Promise<Device> {
  await import('@tensorflow/tfjs');
  return { description: `plain JavaScript on ${processor()}` };
}

async function load(backend: Backend): Promise<Device> {
  if (backend === 'tfjs') return loadTfjs();
  try {
    return await loadTfjsNode(backend);
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    if (backend === 'tfjs-node-gpu') {
      throw new UsageError(`@tensorflow/tfjs-node-gpu does not load: ${reason}`);
    }
    console.log(
      `@tensorflow/tfjs-node is missing or does not load, so plain @tensorflow/tfjs computes, which is much slower; ` +
        `\`npm run setup\` in a checkout brings it. (${reason})`,
    );
    return loadTfjs();
  }
}

/** @throws UsageError if the GPU is asked for and cannot be had */
export async function loadBackend(backend: Backend): Promise<Device> {
  const device = await load(backend);
  const tf = await import('@tensorflow/tfjs-core');
  // Without debug checks, and without tfjs' advice to install a backend for Node.
  tf.enableProdMode();
  await tf.setBackend(device.summaryFileWriter ? 'tensorflow' : 'cpu');
  return device;
}
