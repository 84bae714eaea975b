// SPDX-License-Identifier: Apache-2.0
/**
 * When attention's passes take their products with subgroup matrices, and in what tiles: pure functions of
 * device facts and shape, as those of tuning.ts.
 *
 * The feature is experimental, so a device has it only if its user asked for it (registerWebGPUBackend's
 * `subgroupMatrices`). Only configurations whose results are float32 are taken: scores and sums stay float32.
 */
import type { FloatDType } from '../spec/dtype.js';
import type { AttentionPass, AttentionTile, DeviceFacts } from './tuning.js';

export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix';

/** Products of [rows, inner] by [inner, columns] that the subgroups of a device compute. */
export interface MatrixShape {
  rows: number;
  columns: number;
  inner: number;
  /** Of the factors; results are float32. */
  component: 'f16' | 'f32';
  /** Threads that stand for a subgroup where the products are plain loops: for tests. */
  emulated?: number;
}

/** Such a product's shape in the adapter's info, as Dawn has it. */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** The shapes that a device offers and the programs can use, larger ones first. */
export function matrixShapes(device: GPUDevice): MatrixShape[] {
  if (!device.features.has(MATRIX_FEATURE)) return [];
  const info = device.adapterInfo as Partial<GPUAdapterInfo> & {
    subgroupMatrixConfigs?: Iterable<MatrixConfig>;
  };
  // A workgroup has to be whole subgroups of the size that a driver chooses.
  const size = info.subgroupMaxSize ?? 0;
  if (size !== info.subgroupMinSize || MATRIX_THREADS % size !== 0) return [];
  const shapes: MatrixShape[] = [];
  for (const config of info.subgroupMatrixConfigs ?? []) {
    const { componentType, resultComponentType, M, N, K } = config;
    if (resultComponentType !== 'f32') continue;
    if (componentType !== 'f32' && componentType !== 'f16') continue;
    if (componentType === 'f16' && !device.features.has('shader-f16')) continue;
    shapes.push({ rows: M, columns: N, inner: K, component: componentType });
  }
  const volume = ({ rows, columns, inner }: MatrixShape) => rows * columns * inner;
  return shapes.sort((a, b) => volume(b) - volume(a));
}

/** A tile of attention whose products are `matrix`'s. */
export interface MatrixTile extends AttentionTile {
  matrix: MatrixShape;
}

export function isMatrix(tile: AttentionTile): tile is MatrixTile {
  return 'matrix' in tile;
}

export const MATRIX_THREADS = 128;

/** A head of `length` numbers in whole matrices of `size`, and in whole quads. */
export function padded(length: number, size: number): number {
  const unit = Math.max(4, size);
  return Math.ceil(length / unit) * unit;
}

/** The same in gradient passes, where heads are what is added up over, and columns of results. */
export function gradientPadding({ inner, columns }: MatrixShape, length: number): number {
  return padded(length, Math.max(inner, columns));
}

/** Bytes of workgroup memory: what the programs of a pass declare. */
export function matrixStorage(pass: AttentionPass, tile: MatrixTile, k: number, v: number): number {
  const { rows, keys, columnThreads, matrix } = tile;
  const bytes = matrix.component === 'f16' && !matrix.emulated ? 2 : 4;
  const parts = matrix.component === 'f16' ? 2 : 1;
  const flags = 4 * (rows + keys + (pass === 'forward' ? 1 : 2));
  const weights = parts * bytes * rows * keys;
  if (pass === 'forward') {
    const [kPadded, vPadded] = [padded(k, matrix.inner), padded(v, matrix.columns)];
    const factors = rows * kPadded + keys * Math.max(kPadded, vPadded);
    return bytes * factors + weights + 4 * rows * (keys + vPadded + columnThreads) + flags;
  }
  const [kPadded, vPadded] = [gradientPadding(matrix, k), gradientPadding(matrix, v)];
  const products = 8 * rows * keys;
  if (pass === 'dq') {
    const factors = (rows + keys) * kPadded + (parts * rows + keys) * vPadded;
    return bytes * factors + products + weights + 4 * rows * (kPadded + 2) + flags;
  }
  const factors = (rows + keys) * kPadded + (rows + parts * keys) * vPadded;
  const sums = 4 * rows * (kPadded + vPadded + 2);
  return bytes * factors + products + 2 * weights + sums + 12 * keys + flags;
}

type Sizes = readonly (readonly [rows: number, keys: number])[];
/** Rows and keys of tiles, the largest first. */
const FORWARD_SIZES: Sizes = [
  [32, 32],
  [16, 32],
];
const GRADIENT_SIZES: Sizes = [...FORWARD_SIZES, [16, 16]];

function isWhole(pass: AttentionPass, { rows, columns, inner }: MatrixShape, size: number[]) {
  const [ownRows, streamed] = size as [number, number];
  // Of dK and dV the streamed are queries, which are the rows of scores.
  const scores = pass === 'dkdv' ? [streamed % rows, ownRows % columns] : [streamed % columns];
  return [...scores, ownRows % rows, streamed % inner].every((rest) => rest === 0);
}

/**
 * The tile of a pass, or null: bfloat16 is exact in float16 factors (but for what is out of their
 * range, which the program looks after), float32 is not.
 */
export function matrixTile(
  facts: DeviceFacts,
  pass: AttentionPass,
  dtype: FloatDType,
  k: number,
  v: number,
): MatrixTile | null {
  if (facts.software || facts.maxInvocations < MATRIX_THREADS) return null;
  for (const matrix of facts.matrices) {
    if (matrix.component === 'f16' && dtype !== 'bfloat16') continue;
    for (const [rows, keys] of pass === 'forward' ? FORWARD_SIZES : GRADIENT_SIZES) {
      if (!isWhole(pass, matrix, [rows, keys])) continue;
      const columnThreads = MATRIX_THREADS / rows;
      const tile = { rows, keys, threadRows: 1, columnThreads, matrix };
      if (matrixStorage(pass, tile, k, v) <= facts.workgroupStorage) return tile;
    }
  }
  return null;
}
