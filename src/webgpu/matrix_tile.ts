// SPDX-License-Identifier: Apache-2.0
/**
 * When attention's forward pass takes its products with subgroup matrices, and in what tiles: pure functions of
 * device facts and shape, as those of tuning.ts.
 *
 * The feature is experimental, so a device has it only if its user asked for it (registerWebGPUBackend's
 * `subgroupMatrices`). Only configurations whose results are float32 are taken: scores and sums stay float32.
 */
import type { FloatDType } from '../spec/dtype.js';
import type { AttentionTile, DeviceFacts } from './tuning.js';

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
const KEYS = 32;

/** A head of `length` numbers in whole matrices of `size`, and in whole quads. */
export function padded(length: number, size: number): number {
  const unit = Math.max(4, size);
  return Math.ceil(length / unit) * unit;
}

/** Bytes of workgroup memory: query, key or value, scores, weights and what rounding took from them, sums, maxima, flags. */
export function matrixStorage(tile: MatrixTile, k: number, v: number): number {
  const { rows, keys, columnThreads, matrix } = tile;
  const bytes = matrix.component === 'f16' && !matrix.emulated ? 2 : 4;
  const [kPadded, vPadded] = [padded(k, matrix.inner), padded(v, matrix.columns)];
  const weights = (matrix.component === 'f16' ? 2 : 1) * bytes * rows * keys;
  return (
    bytes * (rows * kPadded + keys * Math.max(kPadded, vPadded)) +
    weights +
    4 * rows * (keys + vPadded + columnThreads) +
    4 * (rows + keys + 1)
  );
}

/**
 * The tile of a forward pass, or null: bfloat16 is exact in float16 factors (but for what is out of their
 * range, which the program looks after), float32 is not.
 */
export function matrixTile(
  facts: DeviceFacts,
  dtype: FloatDType,
  k: number,
  v: number,
): MatrixTile | null {
  if (facts.software || facts.maxInvocations < MATRIX_THREADS) return null;
  for (const matrix of facts.matrices) {
    if (matrix.component === 'f16' && dtype !== 'bfloat16') continue;
    if (KEYS % matrix.columns !== 0 || KEYS % matrix.inner !== 0) continue;
    for (const rows of [32, 16]) {
      if (rows % matrix.rows !== 0) continue;
      const columnThreads = MATRIX_THREADS / rows;
      const tile = { rows, keys: KEYS, threadRows: 1, columnThreads, matrix };
      if (matrixStorage(tile, k, v) <= facts.workgroupStorage) return tile;
    }
  }
  return null;
}
