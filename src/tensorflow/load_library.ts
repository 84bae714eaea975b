// SPDX-License-Identifier: Apache-2.0
/**
 * Loads the addon and has it register its ops with the TensorFlow in this process.
 *
 * That needs tfjs-node (or tfjs-node-gpu) in the process. ES modules are evaluated in the order of
 * their imports, so tfjs-node may come later than this package; therefore nothing is decided before
 * the `tensorflow` backend is registered with tfjs. From then on the first question settles it.
 */
import { engine } from '@tensorflow/tfjs-core';
import { EXPECTED_PACKAGE, askedFor, candidates, mendOf } from './find_library.js';
import type { Candidate } from './find_library.js';
import { NATIVE_ABI, notLoaded } from './state.js';
import type { NativeAttempt, NativeInfo, NativeLibrary } from './state.js';

/** What the addon's register() returns. */
interface AddonStatus {
  ok: boolean;
  /** Whether another thread or copy of the package had registered the ops. */
  reused: boolean;
  reason: string;
  tensorflow: string;
  libtensorflow: string;
  isa: string;
  instructionSets: string[];
  threads: number;
  abi: number;
  /** The device that CUDA kernels serve; empty if none. */
  gpu: string;
  /** Why none does. */
  gpuReason?: string;
}

const EXPECTED: NativeInfo['expected'] = { abi: NATIVE_ABI, package: EXPECTED_PACKAGE };

const OFF: NativeInfo = notLoaded(
  'the native library is switched off by TFJS_XFORMERS_NATIVE=off',
  EXPECTED,
);

function isTensorFlowHere(): boolean {
  return 'tensorflow' in engine().registryFactory;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

/** Loads one file: its status, or why it does not fit. An addon, whatever it is called: nothing is run as JavaScript. */
function register(file: string): AddonStatus | string {
  let status: AddonStatus;
  try {
    const module: { exports: { register?: () => AddonStatus } } = { exports: {} };
    process.dlopen(module, file);
    if (typeof module.exports.register !== 'function') return 'it is not an addon of tfjs-xformers';
    status = module.exports.register();
  } catch (error) {
    return `it cannot be loaded: ${firstLine(error)}`;
  }
  if (status.abi !== NATIVE_ABI) return `found interface ${status.abi}, expected ${NATIVE_ABI}`;
  return status.ok ? status : status.reason;
}

function loadedInfo(file: string, status: AddonStatus, tried: NativeAttempt[]): NativeInfo {
  const { tensorflow, isa, instructionSets, threads, abi } = status;
  const noGpu = status.gpuReason ? `; no CUDA kernels: ${status.gpuReason}` : '';
  return {
    loaded: true,
    reason: `loaded from ${file}: ${isa} kernels, ${threads} threads, TensorFlow ${tensorflow}${noGpu}`,
    tried,
    expected: EXPECTED,
    library: file,
    abi,
    isa,
    instructionSets,
    threads,
    tensorflow,
    libtensorflow: status.libtensorflow,
    gpu: status.gpu || null,
  };
}

/** A place in words. */
function inWords({ from, path, outcome }: NativeAttempt): string {
  return `${from} ${path}: ${outcome}`;
}

/** Tries the places in order, up to the first that fits. */
function search(): NativeInfo {
  const tried: NativeAttempt[] = [];
  const places = candidates();
  for (const candidate of places) {
    const { from, path } = candidate;
    const result = 'file' in candidate ? register(candidate.file) : candidate.missing;
    if (typeof result !== 'string') {
      tried.push({ from, path, outcome: result.reused ? 'loaded, its ops were there' : 'loaded' });
      return loadedInfo(path, result, tried);
    }
    tried.push({ from, path, outcome: result });
  }
  return notLoaded(
    `no native library fits (${tried.map(inWords).join('; ')}). ${mendOf(places)}`,
    EXPECTED,
    tried,
  );
}

/** What can be said before TensorFlow is there. */
function waiting(): NativeInfo {
  const look = (candidate: Candidate): NativeAttempt => ({
    from: candidate.from,
    path: candidate.path,
    outcome: 'file' in candidate ? 'found, not loaded yet' : candidate.missing,
  });
  return notLoaded(
    'TensorFlow is not in this process yet, and the native library waits for it. Import ' +
      "'@tensorflow/tfjs-node' or '@tensorflow/tfjs-node-gpu' (before 'tfjs-xformers/node', best)",
    EXPECTED,
    candidates().map(look),
  );
}

/** The library of this process; nothing is loaded before ready() is called. */
export function createNativeLibrary(): NativeLibrary {
  let settled = askedFor() === 'off' ? OFF : undefined;
  const settle = (): NativeInfo | undefined => {
    if (!settled && isTensorFlowHere()) settled = search();
    return settled;
  };
  return {
    ready: () => settle()?.loaded ?? false,
    info: () => settle() ?? waiting(),
  };
}
