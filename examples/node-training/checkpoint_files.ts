// SPDX-License-Identifier: Apache-2.0
/**
 * Checkpoints as folders, `step-000200` and so on, with model.json and weights.bin, which tf.loadLayersModel takes,
 * state.json and optimizer.bin. A folder is written under another name and renamed when it is complete: whatever
 * happens meanwhile, the one before it stays whole.
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import * as tf from '@tensorflow/tfjs-core';

import { UsageError } from '../shared/usage.js';
import type { Checkpoint, CheckpointState } from './checkpoint.js';

const NAME = /^step-(\d{6,})$/;

/** Names of the complete checkpoints in a folder, the oldest first. */
async function checkpointsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new UsageError(`cannot read ${folder}: ${error.message}`);
  });
  const stepOf = (name: string) => Number(NAME.exec(name)![1]);
  return names.filter((name) => NAME.test(name)).sort((a, b) => stepOf(a) - stepOf(b));
}

/** Where the last checkpoint in a folder is, if there is one. @throws UsageError if the folder cannot be read */
export async function lastCheckpoint(folder: string): Promise<string | undefined> {
  const last = (await checkpointsIn(folder)).at(-1);
  return last === undefined ? undefined : path.join(folder, last);
}

const bytesOf = (data: Float32Array) =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function writeInto(folder: string, { state, model, moments }: Checkpoint): Promise<void> {
  const { modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy } = model;
  const weights = tf.io.concatenateArrayBuffers([weightData as ArrayBuffer].flat());
  const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
  const json = { modelTopology, format, generatedBy, convertedBy, weightsManifest };
  await Promise.all([
    writeFile(path.join(folder, 'model.json'), JSON.stringify(json)),
    writeFile(path.join(folder, 'weights.bin'), new Uint8Array(weights)),
    writeFile(path.join(folder, 'optimizer.bin'), bytesOf(moments)),
    writeFile(path.join(folder, 'state.json'), `${JSON.stringify(state, null, 1)}\n`),
  ]);
}

/**
 * Writes a checkpoint and removes the oldest ones.
 *
 * @param keep how many are left
 * @returns its folder
 */
export async function writeCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  keep: number,
): Promise<string> {
  const name = `step-${String(checkpoint.state.steps).padStart(6, '0')}`;
  const [target, partial] = [path.join(folder, name), path.join(folder, `.partial-${name}`)];
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await writeInto(partial, checkpoint);
  await rm(target, { recursive: true, force: true });
  await rename(partial, target);
  for (const old of (await checkpointsIn(folder)).slice(0, -keep)) {
    await rm(path.join(folder, old), { recursive: true });
  }
  return target;
}

async function read(folder: string): Promise<Checkpoint> {
  const [state, model, weights, moments] = await Promise.all([
    readFile(path.join(folder, 'state.json'), 'utf8'),
    readFile(path.join(folder, 'model.json'), 'utf8'),
    readFile(path.join(folder, 'weights.bin')),
    readFile(path.join(folder, 'optimizer.bin')),
  ]);
  const parsed = JSON.parse(state) as CheckpointState;
  if ((parsed.format as number) !== 1) throw new Error(`its format is ${parsed.format}, not 1`);
  const { modelTopology, weightsManifest } = JSON.parse(model) as {
    modelTopology: object;
    weightsManifest: [{ weights: tf.io.WeightsManifestEntry[] }];
  };
  const weightSpecs = weightsManifest[0].weights;
  return {
    state: parsed,
    model: { modelTopology, weightSpecs, weightData: new Uint8Array(weights).buffer },
    moments: new Float32Array(new Uint8Array(moments).buffer),
  };
}

/** @throws UsageError if it is not complete */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  return read(folder).catch((error: Error) => {
    throw new UsageError(`${folder} is no checkpoint of this script: ${error.message}`);
  });
}
