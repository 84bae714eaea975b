// SPDX-License-Identifier: Apache-2.0
/**
 * The native library of this process, as every module of this package sees it.
 *
 * It hangs on globalThis, as tfjs' own kernel registry does: two copies of this package in one
 * process share the kernels, so they share the library that serves them. Nothing of Node is
 * imported here, so info() can read it in a browser, where there is none.
 */

/** The interface of the addon that this version understands: names and signatures of its ops. */
export const NATIVE_ABI = 1;

/** A place where the library was looked for, and what came of it. */
export interface NativeAttempt {
  from: 'TFJS_XFORMERS_NATIVE' | 'local build' | 'platform package';
  /** The file, or the package if it is not installed. */
  path: string;
  outcome: string;
}

/** What there is to know about the native library: plain data, fit for JSON. */
export interface NativeInfo {
  loaded: boolean;
  /** In words: what is loaded, or why nothing is and the command that mends it. */
  reason: string;
  /** Every place that was looked at, in order. */
  tried: NativeAttempt[];
  /** What this version of the package looks for. */
  expected: { abi: number; package: string };
  /** The addon; null unless loaded, as all that follows. */
  library: string | null;
  abi: number | null;
  /** The instruction set that the kernels use, such as 'avx512bf16', and all that run here. */
  isa: string | null;
  instructionSets: string[];
  threads: number | null;
  /** The TensorFlow that the kernels are registered with: its version and its file. */
  tensorflow: string | null;
  libtensorflow: string | null;
  /** The GPU that has kernels of its own. */
  gpu: string | null;
}

/** One for each process, or worker thread. */
export interface NativeLibrary {
  /**
   * Whether the native kernels are there. The first call with tfjs-node in the process loads the
   * library; its outcome is final.
   */
  ready(): boolean;
  info(): NativeInfo;
}

const KEY = Symbol.for('tfjs-xformers.native');
type Global = typeof globalThis & { [KEY]?: NativeLibrary };

/** The library that `tfjs-xformers/node` looks after; undefined where that was not imported. */
export function nativeLibrary(): NativeLibrary | undefined {
  return (globalThis as Global)[KEY];
}

export function setNativeLibrary(library: NativeLibrary): void {
  (globalThis as Global)[KEY] = library;
}

/** The info of a library that is not loaded. */
export function notLoaded(
  reason: string,
  expected: NativeInfo['expected'],
  tried: NativeAttempt[] = [],
): NativeInfo {
  return {
    loaded: false,
    reason,
    tried,
    expected,
    library: null,
    abi: null,
    isa: null,
    instructionSets: [],
    threads: null,
    tensorflow: null,
    libtensorflow: null,
    gpu: null,
  };
}

/** Why kernels are not fused on the tensorflow backend; empty if they are. */
export function nativeReasons(): string[] {
  const library = nativeLibrary();
  if (!library) {
    return [
      "the backend 'tensorflow' has fused kernels in the native library, and that is loaded by " +
        "import 'tfjs-xformers/node'",
    ];
  }
  return library.ready() ? [] : [library.info().reason];
}
