// SPDX-License-Identifier: Apache-2.0
/** How each provider's process is started, and why it is not there if it does not answer. */
import { fileURLToPath } from 'node:url';
import type { ProviderName } from './cases.js';
import { WorkerProcess } from './worker_process.js';
import type { Launch } from './worker_process.js';

export interface ProviderOptions {
  threads: number;
  /** A Python that has PyTorch. */
  python: string;
  /** onnxruntime-node, or the folder that it is in. */
  onnxruntime: string;
  /** The packages that tfjs-xformers and plain tfjs run on. */
  ours: string;
  plain: string;
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

function node(file: string, ...args: string[]): Launch {
  // Garbage is collected between two cases, outside of what is timed.
  const flags = ['--expose-gc', '--import', 'tsx'];
  return { command: process.execPath, args: [...flags, here(file), ...args] };
}

function launchOf(provider: ProviderName, options: ProviderOptions): Launch {
  switch (provider) {
    case 'tfjs-xformers':
      return node('tfjs_worker.ts', provider, options.ours);
    case 'tfjs':
      return node('tfjs_worker.ts', provider, options.plain);
    case 'PyTorch':
      return { command: options.python, args: [here('pytorch_worker.py')] };
    case 'onnxruntime':
      return node('onnxruntime_worker.ts', options.onnxruntime);
    case 'plain copy':
      return node('memory_worker.ts', 'copy');
    case 'plain read':
      return node('memory_worker.ts', 'read');
  }
}

const REMEDIES: Partial<Record<ProviderName, string>> = {
  'tfjs-xformers': '`npm run setup` brings libtensorflow',
  tfjs: '`npm run setup` brings libtensorflow',
  PyTorch: 'give a Python that has torch with --python <path>',
  onnxruntime:
    '`npm install --no-save onnxruntime-node` brings it, or name its folder with --onnxruntime <path>',
};

/** Every library gets as many threads as every other. */
function environment(threads: number): Record<string, string> {
  const count = String(threads);
  return {
    TF_NUM_INTRAOP_THREADS: count,
    OMP_NUM_THREADS: count,
    MKL_NUM_THREADS: count,
    TF_CPP_MIN_LOG_LEVEL: '2',
    CUDA_VISIBLE_DEVICES: '',
  };
}

/** A process that has said hello, with its versions, or why there is none. */
export interface Started {
  worker: WorkerProcess;
  versions: Record<string, string>;
}

async function start(provider: ProviderName, options: ProviderOptions): Promise<Started | string> {
  const worker = new WorkerProcess(launchOf(provider, options), environment(options.threads));
  const { versions, error } = await worker.send({ command: 'hello', threads: options.threads });
  if (versions) return { worker, versions };
  await worker.stop();
  return `absent: ${REMEDIES[provider] ?? error}`;
}

/** The processes of a run: each is started when it is first asked for. */
export class Providers {
  private readonly running = new Map<ProviderName, Started | string>();
  readonly versions: Record<string, string> = {};

  constructor(private readonly options: ProviderOptions) {}

  /** @returns the provider's process, or why it is absent */
  async get(provider: ProviderName): Promise<WorkerProcess | string> {
    let started = this.running.get(provider);
    // A process that has died is replaced: the cases after the one that killed it may do.
    if (started === undefined || (typeof started !== 'string' && !started.worker.alive)) {
      started = await start(provider, this.options);
      this.running.set(provider, started);
    }
    if (typeof started === 'string') return started;
    for (const [name, version] of Object.entries(started.versions)) {
      // Plain tfjs and ours may run on two libtensorflows.
      this.versions[name === 'libtensorflow' ? `${name} of ${provider}` : name] = version;
    }
    return started.worker;
  }

  async stop(provider: ProviderName): Promise<void> {
    const started = this.running.get(provider);
    if (started !== undefined && typeof started !== 'string') {
      this.running.delete(provider);
      await started.worker.stop();
    }
  }

  async stopAll(): Promise<void> {
    for (const provider of [...this.running.keys()]) await this.stop(provider);
  }
}
