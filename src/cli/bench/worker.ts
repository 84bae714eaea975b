// SPDX-License-Identifier: Apache-2.0
/**
 * Run as a process of its own for each candidate backend. Argument: a BenchTask as JSON. Answers
 * with Notes: what is being done, the facts of the backend, and the figures of each op.
 */
import { enableProdMode, env } from '@tensorflow/tfjs-core';
import { info } from '../../info.js';
import type { WebGPUInfo } from '../../info.js';
import { CANDIDATES, reasonOf } from '../candidates.js';
import { versionOf } from '../find_packages.js';
import { startBackend, tensorFlowFacts } from '../start_backend.js';
import { measureOp } from './measure.js';
import { memoryKind } from './memory.js';
import type { BackendFacts, BenchTask, Note } from './notes.js';
import { BENCH_OPS } from './ops.js';

/** On a slow backend even the smallest size takes long. No op begins when this much more than its time has passed. */
const OVERTIME_SECONDS = 10;

// Computing takes the thread, so each note has to be on its way before work goes on.
const tell = (note: Note) => new Promise<void>((resolve) => process.send!(note, () => resolve()));

/** What says most in few words; browsers and drivers leave some of them empty. */
function adapterName({ adapter }: WebGPUInfo): string {
  const { vendor, architecture, device, description } = adapter;
  return description || [vendor, architecture || device].filter((word) => word !== '').join(' ');
}

function factsOf(backend: string, packageName: string): BackendFacts {
  const { kernels, native, webgpu } = info();
  const tensorflow = tensorFlowFacts();
  const fused = kernels[backend]!['memoryEfficientAttention'] === 'fused';
  return {
    package: packageName,
    version: versionOf(packageName),
    kernels: fused ? 'fused' : 'portable',
    memory: memoryKind(),
    ...(tensorflow && {
      tensorflow,
      native: native.loaded ? `${native.isa}, ${native.threads} threads` : null,
    }),
    ...(webgpu && { adapter: adapterName(webgpu), software: webgpu.softwareAdapter }),
  };
}

async function run({ candidate: index, ops, seconds }: BenchTask): Promise<void> {
  const candidate = CANDIDATES[index]!;
  await startBackend(candidate);
  enableProdMode();
  // Small tensors go to the GPU as well: reading them back would have to wait for it.
  if (candidate.backend === 'webgpu') env().set('WEBGPU_CPU_FORWARD', false);
  await tell({ kind: 'facts', facts: factsOf(candidate.backend, candidate.packages[0]) });
  const start = performance.now();
  const chosen = BENCH_OPS.filter(({ name }) => ops.includes(name));
  for (const op of chosen) {
    if (performance.now() - start > (seconds + OVERTIME_SECONDS) * 1000) {
      throw new Error(`${op.title} was left out, for lack of time: --seconds gives more`);
    }
    const figures = await measureOp(op, (seconds * 1000) / chosen.length, (text) => {
      void tell({ kind: 'doing', text });
    });
    await tell({ kind: 'figures', figures });
  }
}

process.on('disconnect', () => process.exit(1));
try {
  await run(JSON.parse(process.argv[2]!) as BenchTask);
} catch (error) {
  await tell({ kind: 'failure', reason: reasonOf(error) });
}
// Dawn's threads keep a process alive.
process.exit(0);
