// SPDX-License-Identifier: Apache-2.0
/** Reads safetensors: 8 bytes little-endian header length, a JSON header, the raw data. */

export type StoredValues = Float32Array | Float64Array | Uint16Array | Uint32Array | Int32Array;

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly values: StoredValues;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const ARRAYS: Record<string, new (buffer: ArrayBuffer) => StoredValues> = {
  F32: Float32Array,
  F64: Float64Array,
  U16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
};

export function readSafetensors(bytes: ArrayBuffer): Map<string, StoredTensor> {
  const headerLength = Number(new DataView(bytes).getBigUint64(0, true));
  const start = 8 + headerLength;
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(8, start))) as Record<
    string,
    Entry
  >;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const Values = ARRAYS[dtype];
    if (!Values) throw new TypeError(`${name} has dtype ${dtype}, which this reader does not know`);
    // The slice aligns the data, which may start anywhere in the file.
    const data = bytes.slice(start + data_offsets[0], start + data_offsets[1]);
    tensors.set(name, { shape, values: new Values(data) });
  }
  return tensors;
}
