// SPDX-License-Identifier: Apache-2.0
/** The stored reference values of test/golden. */
import type { TestBackend } from './backends.js';
import { readSafetensors } from './safetensors.js';
import type { StoredTensor, StoredValues } from './safetensors.js';

export type GoldenFile = 'attention' | 'layernorm' | 'qknorm' | 'bf16';

/** The tensors of one golden file. */
export class Golden {
  constructor(private readonly tensors: ReadonlyMap<string, StoredTensor>) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  values(name: string): StoredValues {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new RangeError(`the golden file holds no '${name}'`);
    return tensor.values;
  }

  float32(name: string): Float32Array {
    return this.values(name) as Float32Array;
  }
}

const loaded = new Map<string, Promise<Golden>>();

/** Reads a golden file, once for all suites and backends. */
export function loadGolden(backend: TestBackend, file: GoldenFile): Promise<Golden> {
  let golden = loaded.get(file);
  if (!golden) {
    golden = backend
      .readBytes(`${file}.safetensors`)
      .then((bytes) => new Golden(readSafetensors(bytes)));
    loaded.set(file, golden);
  }
  return golden;
}
