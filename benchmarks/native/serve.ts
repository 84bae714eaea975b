// SPDX-License-Identifier: Apache-2.0
/** The worker's side of the protocol, for providers written in TypeScript. */
import { open, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Work } from '../shared/work.js';
import type { CaseWithFiles, Command, Provider, Reply } from './protocol.js';

/** An input of a case. */
export async function readInput(c: CaseWithFiles, name: string): Promise<Float32Array> {
  const file = await open(c.inputs[name]!);
  try {
    const values = new Float32Array((await file.stat()).size / 4);
    await file.read(new Uint8Array(values.buffer));
    return values;
  } finally {
    await file.close();
  }
}

async function writeOutputs(work: Work, files: Record<string, string>): Promise<void> {
  for (const [name, values] of Object.entries(await work.outputs())) {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    await writeFile(files[name]!, bytes);
  }
}

/** Calls until the time is over, at least once. */
async function timeCalls(work: Work, seconds: number): Promise<Reply> {
  const times: number[] = [];
  const faults = process.resourceUsage().minorPageFault;
  const end = performance.now() + 1000 * seconds;
  for (;;) {
    const start = performance.now();
    const pending = work.run();
    if (pending) await pending;
    const stop = performance.now();
    times.push((stop - start) / 1000);
    if (stop >= end) break;
  }
  const fresh = process.resourceUsage().minorPageFault - faults;
  return { times, faults: fresh / times.length };
}

/** Answers commands from standard input until it ends. */
export async function serve(provider: Provider): Promise<void> {
  let work: Work | null = null;
  const answer = async (command: Command): Promise<Reply> => {
    switch (command.command) {
      case 'hello':
        return { versions: await provider.hello(command.threads) };
      case 'prepare': {
        const prepared = await provider.prepare(command.case);
        if (typeof prepared === 'string') return { unsupported: prepared };
        work = prepared;
        return {};
      }
      case 'outputs':
        await writeOutputs(work!, command.files);
        return {};
      case 'time':
        return timeCalls(work!, command.seconds);
      case 'release':
        await work?.release();
        work = null;
        // Garbage of one case is not to be collected while the next is timed.
        globalThis.gc?.();
        return {};
    }
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let reply: Reply;
    try {
      reply = await answer(JSON.parse(line) as Command);
    } catch (error) {
      reply = { error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  process.exit(0);
}
