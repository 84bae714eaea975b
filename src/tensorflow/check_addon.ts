// SPDX-License-Identifier: Apache-2.0
/**
 * Whether an addon's file is one, and whole, before anything loads it. The system's loader maps a file
 * that was cut off and ends the process (SIGBUS) at the first page that is missing: no error could be
 * caught.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Of a 64-bit ELF file, in bytes: its header, and where the table of sections and its sizes stand in it. */
const HEADER = 64;
const TABLE_OFFSET = 0x28;
const ENTRY_SIZE = 0x3a;
const ENTRIES = 0x3c;
/** "\x7fELF", 64 bits, little endian. */
const MAGIC = '7f454c460201';

/** How shared libraries begin: ELF; Mach-O of 64 bits, and of several architectures; PE. */
const LIBRARIES = ['7f454c46', 'cffaedfe', 'cafebabe', '4d5a'];

const beginsWith = (bytes: Buffer, magic: string): boolean =>
  bytes.toString('hex', 0, magic.length / 2) === magic;

/** How long an ELF file must be at least: linkers write the table of sections last. 0 for other files. */
function leastLength(bytes: Buffer): number {
  if (bytes.length < HEADER || !beginsWith(bytes, MAGIC)) return 0;
  const table = Number(bytes.readBigUInt64LE(TABLE_OFFSET));
  return table + bytes.readUInt16LE(ENTRY_SIZE) * bytes.readUInt16LE(ENTRIES);
}

/**
 * What is wrong with a file, in words; undefined if nothing is.
 *
 * @param sha256 of the file as it was packed, in hexadecimal; without it only the length is checked
 */
export function damageOf(file: string, sha256?: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
  if (!LIBRARIES.some((magic) => beginsWith(bytes, magic))) {
    return 'it is no addon: it does not begin as a shared library does';
  }
  const least = leastLength(bytes);
  if (bytes.length < least) return `damaged: found ${bytes.length} bytes, expected ${least}`;
  if (sha256 === undefined) return undefined;
  const found = createHash('sha256').update(bytes).digest('hex');
  return found === sha256 ? undefined : `damaged: found SHA-256 ${found}, expected ${sha256}`;
}
