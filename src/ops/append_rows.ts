// SPDX-License-Identifier: Apache-2.0
/** The rows of a tensor after those of a buffer that grows: for key/value caches, not public. */
import { isBFloat16, BFloat16Tensor } from '../bf16/bfloat16_tensor.js';
import { APPEND_ROWS_INPUTS, AppendRows } from '../kernel_names.js';
import type { FloatTensor } from '../spec/dtype.js';
import { floatDType, handleOf } from './arguments.js';
import { runOptionalInputKernel } from './run_kernel.js';

export interface AppendRowsOptions {
  /** Rows of the buffer before this one are dropped. */
  from: number;
  /** Rows of the buffer that hold something. */
  used: number;
  /** Rows of a new buffer, where the backend writes in place and the old one is too small. */
  reserve: number;
}

/**
 * A buffer [B, n, …] with the rows `from` … `used` - 1 of `buffer` and then `rows` [B, m, …]; n may be
 * larger. On cpu, wasm and webgpu it is the same memory where that is large enough, so the caller
 * must dispose of `buffer`, read or not, and never hand it out.
 */
export function appendRows(
  buffer: FloatTensor | null,
  rows: FloatTensor,
  options: AppendRowsOptions,
): FloatTensor {
  const inputs = {
    rows: handleOf('appendRows', 'rows', rows),
    target: buffer ? handleOf('appendRows', 'buffer', buffer) : undefined,
  };
  const attrs = { ...options, dtype: floatDType(rows) };
  const [output] = runOptionalInputKernel(AppendRows, APPEND_ROWS_INPUTS, inputs, attrs);
  return isBFloat16(rows) ? new BFloat16Tensor(output!) : output!;
}
