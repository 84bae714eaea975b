// SPDX-License-Identifier: Apache-2.0
/**
 * One file of the safetensors format: 8 bytes with the length of the header, little endian; the header, JSON with dtype,
 * shape and place of every tensor; the data. Only the header is read when a file is opened.
 * Format: https://github.com/huggingface/safetensors
 */
import { CheckpointError } from './error.js';
import type { StoredFile } from './files.js';
import { FLOAT_BYTES, floatValues } from './float_values.js';

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [start: number, end: number];
}

/** The format's own limit. */
const LONGEST_HEADER = 100_000_000;

function isEntry(value: unknown): value is Entry {
  const { dtype, shape, data_offsets } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  const isList = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
  return (
    typeof dtype === 'string' && isList(shape) && isList(data_offsets) && data_offsets.length === 2
  );
}

export class SafetensorsFile {
  private constructor(
    private readonly name: string,
    private readonly file: StoredFile,
    private readonly entries: ReadonlyMap<string, Entry>,
    private readonly dataStart: number,
  ) {}

  /** @throws CheckpointError if it is no safetensors file, or is cut off */
  static async open(name: string, file: StoredFile): Promise<SafetensorsFile> {
    const refuse = (why: string) =>
      new CheckpointError(`${name} is no whole safetensors file: ${why}. Download it again.`);
    if (file.size < 8) throw refuse(`it has ${file.size} bytes`);
    const length = Number(new DataView(await file.read(0, 8)).getBigUint64(0, true));
    if (length > Math.min(LONGEST_HEADER, file.size - 8)) {
      throw refuse(`its header would take ${length} of ${file.size} bytes`);
    }
    const text = new TextDecoder().decode(await file.read(8, 8 + length));
    let header: Record<string, unknown>;
    try {
      header = JSON.parse(text) as Record<string, unknown>;
    } catch {
      throw refuse('its header is no JSON');
    }
    const entries = new Map<string, Entry>();
    for (const [tensor, entry] of Object.entries(header)) {
      if (tensor === '__metadata__') continue;
      if (!isEntry(entry)) throw refuse(`its header describes ${tensor} in a way unknown here`);
      const [start, end] = entry.data_offsets;
      if (start > end || 8 + length + end > file.size) throw refuse(`${tensor} is beyond its end`);
      entries.set(tensor, entry);
    }
    return new SafetensorsFile(name, file, entries, 8 + length);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  shapeOf(tensor: string): readonly number[] {
    return this.entries.get(tensor)!.shape;
  }

  /** The values of a tensor, as float32. @throws CheckpointError if it is of another dtype than F32, F16 and BF16 */
  async read(tensor: string): Promise<Float32Array> {
    const { dtype, shape, data_offsets } = this.entries.get(tensor)!;
    const bytes = FLOAT_BYTES[dtype];
    if (bytes === undefined) {
      throw new CheckpointError(
        `${tensor} in ${this.name} is of dtype ${dtype}; F32, F16 and BF16 can be loaded. ` +
          'Take a checkpoint that is not quantized.',
      );
    }
    const [start, end] = data_offsets;
    const size = shape.reduce((product, n) => product * n, bytes);
    if (end - start !== size) {
      throw new CheckpointError(
        `${tensor} in ${this.name} has ${end - start} bytes; ${dtype} [${shape.join(', ')}] takes ${size}.`,
      );
    }
    return floatValues(dtype, await this.file.read(this.dataStart + start, this.dataStart + end));
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
