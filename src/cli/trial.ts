// SPDX-License-Identifier: Apache-2.0
/**
 * Run as a process of its own for each candidate: a backend that crashes, or a second TensorFlow,
 * must not disturb the others. Argument: the candidate's index. Answers with one message, a Trial.
 */
import { tensor2d, tidy } from '@tensorflow/tfjs-core';
import { info } from '../info.js';
import { fusedLayerNorm } from '../ops/fused_norm.js';
import { CANDIDATES, reasonOf } from './candidates.js';
import type { Candidate, Trial } from './candidates.js';
import { versionOf } from './find_packages.js';
import { startBackend, tensorFlowFacts } from './start_backend.js';

/** One small op, so that "works" means that it computes. */
async function compute(): Promise<void> {
  const normed = tidy(() => fusedLayerNorm(tensor2d([1, 3], [1, 2])));
  const [low, high] = await normed.data();
  normed.dispose();
  if (Math.abs(low! + 1) > 1e-4 || Math.abs(high! - 1) > 1e-4) {
    throw new Error(`a layer norm of [1, 3] gave [${low}, ${high}]`);
  }
}

async function tryOut(candidate: Candidate): Promise<Trial> {
  const [name] = candidate.packages;
  const trial: Trial = {
    backend: candidate.backend,
    package: name,
    version: versionOf(name),
    works: false,
  };
  try {
    await startBackend(candidate);
    await compute();
  } catch (error) {
    return { ...trial, reason: reasonOf(error) };
  }
  const { kernels, webgpu, native } = info();
  const tensorflow = tensorFlowFacts();
  return {
    ...trial,
    works: true,
    kernels: kernels[candidate.backend]!,
    ...(webgpu && { webgpu }),
    ...(tensorflow && { tensorflow, native }),
  };
}

const trial = await tryOut(CANDIDATES[Number(process.argv[2])]!);
// Dawn's threads keep a process alive.
process.send!(trial, () => process.exit(0));
