// SPDX-License-Identifier: Apache-2.0
/** A checkpoint as Hugging Face lays it out: config.json, and model.safetensors or several files with an index. */
import { CheckpointError } from './error.js';
import { readJson } from './files.js';
import type { Files } from './files.js';
import { SafetensorsFile } from './safetensors.js';

const ONE_FILE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** The names of the files with weights: those of the index, or the one. */
async function weightFiles(files: Files): Promise<string[]> {
  const index = (await readJson(files, INDEX)) as { weight_map?: Record<string, string> } | null;
  if (index === null) return [ONE_FILE];
  const names = Object.values(index.weight_map ?? {});
  if (names.length > 0 && names.every((name) => typeof name === 'string')) {
    return [...new Set(names)];
  }
  throw new CheckpointError(`${INDEX} in ${files.name} has no weight_map. Download it again.`);
}

export class Checkpoint {
  private constructor(
    /** config.json. */
    readonly config: Readonly<Record<string, unknown>>,
    private readonly opened: readonly SafetensorsFile[],
    private readonly fileOf: ReadonlyMap<string, SafetensorsFile>,
  ) {}

  /** Reads the headers of all files. @throws CheckpointError if a file is missing or damaged */
  static async open(files: Files): Promise<Checkpoint> {
    const config = await readJson(files, 'config.json');
    if (config === null || typeof config !== 'object') {
      throw new CheckpointError(`There is no config.json in ${files.name}.`);
    }
    const opened: SafetensorsFile[] = [];
    try {
      const fileOf = new Map<string, SafetensorsFile>();
      for (const name of await weightFiles(files)) {
        const stored = await files.open(name);
        if (!stored) throw new CheckpointError(`There is no ${name} in ${files.name}.`);
        try {
          opened.push(await SafetensorsFile.open(name, stored));
        } catch (error) {
          await stored.close();
          throw error;
        }
        for (const tensor of opened.at(-1)!.names()) fileOf.set(tensor, opened.at(-1)!);
      }
      return new Checkpoint(config as Record<string, unknown>, opened, fileOf);
    } catch (error) {
      await Promise.all(opened.map((file) => file.close()));
      throw error;
    }
  }

  names(): string[] {
    return [...this.fileOf.keys()];
  }

  has(tensor: string): boolean {
    return this.fileOf.has(tensor);
  }

  shapeOf(tensor: string): readonly number[] {
    return this.fileOf.get(tensor)!.shapeOf(tensor);
  }

  /** As float32. */
  read(tensor: string): Promise<Float32Array> {
    return this.fileOf.get(tensor)!.read(tensor);
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.map((file) => file.close()));
  }
}
