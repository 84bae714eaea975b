// SPDX-License-Identifier: Apache-2.0
/** The files of a checkpoint's folder, in Node. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import type { Files, StoredFile } from './files.js';

/** The operating system reads no more at a time. */
const PART = 2 ** 30;

class OpenFile implements StoredFile {
  constructor(
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  async read(start: number, end: number): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(end - start);
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(PART, bytes.length - done);
      const { bytesRead } = await this.handle.read(bytes, done, length, start + done);
      if (bytesRead === 0) throw new RangeError(`the file ends at byte ${start + done}`);
      done += bytesRead;
    }
    return bytes.buffer;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** The files of a folder, one level deep. */
export function folderFiles(folder: string): Files {
  return {
    name: folder,
    async open(file) {
      // A name out of an index is the checkpoint's; it may not lead elsewhere.
      if (path.basename(file) !== file) return null;
      try {
        const handle = await open(path.join(folder, file));
        return new OpenFile(handle, (await handle.stat()).size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
  };
}
