// SPDX-License-Identifier: Apache-2.0
/** Tile sizes as pure functions of device facts and shapes; no device is touched here. */
import { matrixShapes } from './matrix_tile.js';
import type { MatrixShape } from './matrix_tile.js';
import { isSoftwareAdapter } from './software_adapter.js';

/** What the choices depend on. */
export interface DeviceFacts {
  /** A software adapter: barriers and workgroup memory are slow there. */
  software: boolean;
  /** Bytes of workgroup memory. */
  workgroupStorage: number;
  /** Threads in a workgroup. */
  maxInvocations: number;
  /** The device has subgroups, none of fewer than four threads: quad operations work. */
  quads: boolean;
  /** Products that subgroups compute together, if the device was asked for them; the best first. */
  matrices: readonly MatrixShape[];
}

const assumed = new WeakMap<GPUDevice, Partial<DeviceFacts>>();

/** Makes the choices for a device fall as if these facts were its own; tests reach all variants so. */
export function assumeFacts(device: GPUDevice, facts: Partial<DeviceFacts>): void {
  assumed.set(device, facts);
}

export function deviceFacts(device: GPUDevice): DeviceFacts {
  const { limits } = device;
  const info: Partial<GPUAdapterInfo> = device.adapterInfo ?? {};
  return {
    software: isSoftwareAdapter(device),
    workgroupStorage: limits.maxComputeWorkgroupStorageSize,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    quads: device.features.has('subgroups') && (info.subgroupMinSize ?? 0) >= 4,
    matrices: matrixShapes(device),
    ...assumed.get(device),
  };
}

/**
 * Shape of an attention workgroup: `rows` queries against `keys` keys at a time (for dK and dV,
 * the other way round), rows / threadRows × columnThreads threads.
 */
export interface AttentionTile {
  rows: number;
  keys: number;
  /** Rows of the tile that one thread owns. */
  threadRows: number;
  /** Threads that share a row; each owns keys / columnThreads of its scores. */
  columnThreads: number;
  /** Whether threads hand each other what they read, by quad operations. */
  quads?: boolean;
}

export type AttentionPass = 'forward' | 'dq' | 'dkdv';

/** Largest first: the first that fits is taken. Wide heads need more columns to a row. */
const TILES: readonly AttentionTile[] = [
  { rows: 64, keys: 32, threadRows: 4, columnThreads: 8 },
  { rows: 32, keys: 32, threadRows: 4, columnThreads: 8 },
  { rows: 32, keys: 16, threadRows: 4, columnThreads: 8 },
  { rows: 16, keys: 16, threadRows: 2, columnThreads: 8 },
  { rows: 16, keys: 8, threadRows: 2, columnThreads: 8 },
  { rows: 8, keys: 4, threadRows: 1, columnThreads: 4 },
];

/** Tiles that only a measurement may choose: more rows to a thread, or more threads. */
const TUNED_TILES: readonly AttentionTile[] = [
  { rows: 128, keys: 32, threadRows: 8, columnThreads: 8 },
  { rows: 64, keys: 32, threadRows: 2, columnThreads: 8 },
  { rows: 64, keys: 16, threadRows: 4, columnThreads: 8 },
  { rows: 32, keys: 64, threadRows: 4, columnThreads: 8 },
];

/** Larger heads compile for seconds with more rows to a thread. */
const MAX_HEAD_OF_OTHERS = 128;

/**
 * Software adapters run barriers in software too, so there a thread works alone (columnThreads 1,
 * see wgsl/direct.ts) on four rows, or on two where accumulators are so large that merely zeroing
 * them takes long to compile. More rows save reads, and compile for seconds.
 */
function directTile(pass: AttentionPass, quads: boolean, accumulated: number): AttentionTile {
  const threadRows = accumulated > 64 ? 2 : 4;
  const keys = pass === 'forward' ? 64 : 32;
  return { rows: 4 * threadRows, keys, threadRows, columnThreads: 1, quads };
}

/** What `autotune` may try besides: they compile as fast. */
function otherDirectTiles(pass: AttentionPass, { quads }: DeviceFacts): AttentionTile[] {
  const keys = pass === 'forward' ? 64 : 32;
  return [4, 2].flatMap((threadRows) =>
    (quads ? [true, false] : [false]).map((shares) => ({
      ...{ rows: 4 * threadRows, keys, threadRows, columnThreads: 1, quads: shares },
    })),
  );
}

/** Whether a tile is for the programs that share nothing between threads. */
export function isDirect(tile: AttentionTile): boolean {
  return tile.columnThreads === 1;
}

/** A thread's float32 accumulators above this spill out of registers on common GPUs. */
const MAX_ACCUMULATORS = 64;

export function threadsOf(tile: AttentionTile): number {
  return (tile.rows / tile.threadRows) * tile.columnThreads;
}

/**
 * Bytes of workgroup memory that a pass needs with this tile. A matrix whose quads are shared out
 * to the threads of a row is padded to whole rounds of them (sharedOutTileQuads).
 */
export function attentionStorage(
  pass: AttentionPass,
  tile: AttentionTile,
  kQuads: number,
  vQuads: number,
): number {
  const { rows, keys, columnThreads } = tile;
  const padded = keys + 1;
  const matrix = (quads: number) => 16 * quads * padded;
  const sharedOut = (quads: number) => matrix(Math.ceil(quads / columnThreads) * columnThreads);
  const weights = 4 * rows * padded;
  switch (pass) {
    case 'forward':
      return Math.max(matrix(kQuads), sharedOut(vQuads)) + weights + 4 * rows * columnThreads;
    case 'dq':
      return sharedOut(kQuads) + matrix(vQuads) + weights;
    case 'dkdv':
      return sharedOut(kQuads) + sharedOut(vQuads) + weights + 8 * keys;
  }
}

function fits(facts: DeviceFacts, pass: AttentionPass, k: number, v: number) {
  const [kQuads, vQuads] = [Math.ceil(k / 4), Math.ceil(v / 4)];
  return (tile: AttentionTile) =>
    threadsOf(tile) <= facts.maxInvocations &&
    attentionStorage(pass, tile, kQuads, vQuads) <= facts.workgroupStorage;
}

/** All tiles that a device can run, for `autotune`. */
export function fittingTiles(
  facts: DeviceFacts,
  pass: AttentionPass,
  k: number,
  v: number,
): AttentionTile[] {
  if (facts.software) {
    return Math.max(k, v) > MAX_HEAD_OF_OTHERS ? [] : otherDirectTiles(pass, facts);
  }
  return [...TILES, ...TUNED_TILES].filter(fits(facts, pass, k, v));
}

/** The tile for heads of `k` and values of `v` numbers. */
export function attentionTile(
  facts: DeviceFacts,
  pass: AttentionPass,
  k: number,
  v: number,
): AttentionTile {
  const kQuads = Math.ceil(k / 4);
  const vQuads = Math.ceil(v / 4);
  const accumulated = { forward: vQuads, dq: kQuads, dkdv: kQuads + vQuads }[pass];
  if (facts.software) return directTile(pass, facts.quads, accumulated);
  const fitsDevice = fits(facts, pass, k, v);
  const light = (tile: AttentionTile) =>
    4 * tile.threadRows * Math.ceil(accumulated / tile.columnThreads) <= MAX_ACCUMULATORS;
  return (
    TILES.find((tile) => fitsDevice(tile) && light(tile)) ??
    TILES.find(fitsDevice) ??
    TILES[TILES.length - 1]!
  );
}
