// SPDX-License-Identifier: Apache-2.0
/** `tfjs-xformers info` in plain words. */
import type { Info, WebGPUInfo } from '../info.js';
import type { Trial } from './candidates.js';
import { nativeLines } from './native_lines.js';

/** All that the command tells; `--json` prints it as it is. */
export interface InfoReport {
  version: string;
  versions: Info['versions'];
  node: string;
  platform: string;
  trials: Trial[];
  native: Info['native'];
  gpu: Info['gpu'];
}

/** Of what stands beside the names of the backends. */
const WIDTH = 84;

const LIMITS = [
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
];

/** Words with commas between them, in lines that fit a terminal. */
function wrapped(head: string, words: readonly string[]): string[] {
  const lines = [head];
  for (const [index, word] of words.entries()) {
    const text = index < words.length - 1 ? `${word},` : word;
    if (`${lines.at(-1)} ${text}`.length > WIDTH) lines.push(' '.repeat(head.length));
    lines.push(`${lines.pop()} ${text}`);
  }
  return lines;
}

function kernelLines(trial: Trial): string[] {
  const ops = Object.entries(trial.kernels ?? {});
  const named = (form: string) => ops.filter(([, each]) => each === form).map(([op]) => op);
  const fused = named('fused');
  if (fused.length === 0) return ['every op runs as tfjs ops, in chunks'];
  return [...wrapped('fused:', fused), ...wrapped('as tfjs ops:', named('portable'))];
}

function stateOf({ works, version }: Trial): string {
  if (works) return 'works';
  return version === null ? 'not installed' : 'does not work';
}

function trialLines(trial: Trial): string[] {
  const { backend, version, works, reason, tensorflow } = trial;
  const state = stateOf(trial).padEnd(15);
  const head = `  ${backend.padEnd(12)}${state}${trial.package} ${version ?? ''}`.trimEnd();
  const details = works ? kernelLines(trial) : [reason ?? ''];
  if (tensorflow) {
    details.push(`TensorFlow ${tensorflow.version}, on the ${tensorflow.usesGpu ? 'GPU' : 'CPU'}`);
  }
  return [head, ...details.map((line) => `${' '.repeat(14)}${line}`)];
}

function webgpuLines({ adapter, softwareAdapter, features, limits }: WebGPUInfo): string[] {
  const words = Object.values(adapter).filter((word) => word !== '');
  const slow = softwareAdapter ? ' (a software adapter: the processor does the work, slowly)' : '';
  return [
    '',
    'WebGPU device',
    `  adapter   ${[...new Set(words)].join(', ')}${slow}`,
    `  features  ${features.join(', ')}`,
    ...LIMITS.map(
      (name, index) => `  ${index === 0 ? 'limits  ' : '        '}  ${name} ${limits[name]}`,
    ),
  ];
}

/** The lines of the report. */
export function infoLines(report: InfoReport): string[] {
  const device = report.trials.find(({ webgpu }) => webgpu)?.webgpu;
  return [
    `tfjs-xformers ${report.version}`,
    `@tensorflow/tfjs-core ${report.versions['@tensorflow/tfjs-core']}, Node ${report.node}, ${report.platform}`,
    '',
    'tfjs backends in this Node',
    ...report.trials.flatMap(trialLines),
    ...(device ? webgpuLines(device) : []),
    '',
    ...nativeLines(report.native),
    `GPU of the native library: ${report.gpu ?? 'none'}.`,
    'A browser has backends of its own: call info() in the page.',
    'How fast all this is here: npx tfjs-xformers bench.',
  ];
}
