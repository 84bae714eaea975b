// SPDX-License-Identifier: Apache-2.0
/**
 * The browser's own storage, through tf.io: one entry of IndexedDB holds the model as `tf.loadLayersModel` takes it, the
 * optimizer's moments as weights of the group "optimizer", and all else as the model's metadata.
 */
import * as tf from '@tensorflow/tfjs-core';

import type { Checkpoint, CheckpointState } from '../../node-training/checkpoint.js';
import { reasonOf } from '../page/words.js';
import type { SizeName } from './sizes.js';
import type { LossHistory } from './loss_history.js';

const PLACE = 'indexeddb://tfjs-xformers-writer';

export interface Saved {
  checkpoint: Checkpoint;
  text: string;
  size: SizeName;
  losses: LossHistory;
}

interface Metadata {
  state: CheckpointState;
  text: string;
  size: SizeName;
  losses: LossHistory;
}

const MOMENTS = ['optimizer/mean', 'optimizer/square'];

function handler(kind: 'save' | 'load'): tf.io.IOHandler {
  const handlers = kind === 'save' ? tf.io.getSaveHandlers(PLACE) : tf.io.getLoadHandlers(PLACE);
  if (handlers.length === 0) throw new Error('This browser has no storage that a page can use.');
  return handlers[0] as tf.io.IOHandler;
}

const FULL =
  'The storage that this browser gives to the page is full. Free some of it (browser settings, site data) or choose a smaller model.';

/** What went wrong with the storage, and what to do. */
function storageError(error: unknown): Error {
  const isFull = (error as { name?: string }).name === 'QuotaExceededError';
  const words = `The browser’s storage failed: ${reasonOf(error)}. A private window may not have any.`;
  return new Error(isFull ? FULL : words, { cause: error });
}

/** Whether what is stored now is this, and not another model that was saved before. */
async function isKept(metadata: Metadata): Promise<boolean> {
  const stored = await handler('load').load!().catch(() => undefined);
  return JSON.stringify(stored?.userDefinedMetadata) === JSON.stringify(metadata);
}

/** @throws Error in plain words if the storage is full, or is none */
export async function save({ checkpoint, text, size, losses }: Saved): Promise<void> {
  const { state, model, moments } = checkpoint;
  const metadata: Metadata = { state, text, size, losses };
  const specs = MOMENTS.map((name) => ({
    ...{ name, shape: [moments.length / 2], dtype: 'float32' as const },
    group: 'optimizer' as const,
  }));
  const artifacts: tf.io.ModelArtifacts = {
    ...model,
    weightSpecs: [...model.weightSpecs!, ...specs],
    weightData: [model.weightData!, moments.buffer as ArrayBuffer].flat(),
    userDefinedMetadata: { ...metadata },
  };
  try {
    await handler('save').save!(artifacts);
  } catch (error) {
    throw storageError(error);
  }
  // Some browsers find out that there is no room when a transaction ends, where tfjs does not look.
  if (!(await isKept(metadata))) throw new Error(FULL);
}

async function isSaved(): Promise<boolean> {
  const models = await tf.io.listModels();
  return PLACE in models;
}

/** @throws Error in plain words if nothing is saved, or what is saved cannot be read */
export async function load(): Promise<Saved> {
  if (!(await isSaved())) throw new Error('Nothing is saved in this browser yet.');
  const artifacts = await handler('load').load!().catch((error: unknown) => {
    throw storageError(error);
  });
  const metadata = artifacts.userDefinedMetadata as Metadata | undefined;
  if (metadata?.state?.format !== 1 || !artifacts.weightSpecs || !artifacts.weightData) {
    throw new Error(
      'What is saved here is of another version of this page; delete it and save anew.',
    );
  }
  const { state, text, size, losses } = metadata;
  const specs = artifacts.weightSpecs.filter(({ group }) => group !== 'optimizer');
  const data = tf.io.concatenateArrayBuffers([artifacts.weightData].flat());
  const bytes = specs.reduce((sum, { shape }) => sum + 4 * tf.util.sizeFromShape(shape), 0);
  return {
    ...{ text, size, losses },
    checkpoint: {
      state,
      model: { ...artifacts, weightSpecs: specs, weightData: data.slice(0, bytes) },
      moments: new Float32Array(data.slice(bytes)),
    },
  };
}

/** @returns whether there was anything */
export async function forget(): Promise<boolean> {
  if (!(await isSaved())) return false;
  await tf.io.removeModel(PLACE);
  return true;
}
