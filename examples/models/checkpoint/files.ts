// SPDX-License-Identifier: Apache-2.0
/**
 * The files of a checkpoint, read in parts: a checkpoint of several gigabytes is never in memory as a whole. In browsers
 * they are what a visitor chose (File is a Blob); node_files.ts has those of a folder.
 */
export interface StoredFile {
  /** In bytes. */
  readonly size: number;
  /** The bytes from start up to, not including, end. */
  read(start: number, end: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

export interface Files {
  /** What to call the place in messages. */
  readonly name: string;
  /** null where there is no such file. */
  open(file: string): Promise<StoredFile | null>;
}

/**
 * Files that a browser holds, by their names.
 *
 * @example
 * const files = blobFiles([...input.files].map((file) => [file.name, file]));
 */
export function blobFiles(blobs: Iterable<readonly [name: string, blob: Blob]>): Files {
  const byName = new Map(blobs);
  return {
    name: 'the chosen files',
    open(file) {
      const blob = byName.get(file);
      if (!blob) return Promise.resolve(null);
      return Promise.resolve({
        size: blob.size,
        read: (start: number, end: number) => blob.slice(start, end).arrayBuffer(),
        close: () => Promise.resolve(),
      });
    },
  };
}

/** A file of JSON; null where there is none. */
export async function readJson(files: Files, file: string): Promise<unknown> {
  const stored = await files.open(file);
  if (!stored) return null;
  try {
    return JSON.parse(new TextDecoder().decode(await stored.read(0, stored.size))) as unknown;
  } catch (error) {
    throw new SyntaxError(`${file} is no JSON: ${(error as Error).message}`, { cause: error });
  } finally {
    await stored.close();
  }
}
