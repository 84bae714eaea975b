// SPDX-License-Identifier: Apache-2.0
/** What a table of times has to say about where it comes from. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';

const FLAGS = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'];

function cpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

const field = (text: string, name: string) =>
  new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1];

/** Virtual machines hide the model's name: then family and model tell it. */
export function cpuName(): string {
  const text = cpuInfo();
  const numbers = [field(text, 'cpu family'), field(text, 'model')];
  const suffix = numbers.every(Boolean) ? ` (family ${numbers[0]} model ${numbers[1]})` : '';
  return `${cpus()[0]?.model.trim() ?? 'unknown CPU'}${suffix}`;
}

/** Lines of a heading: what, value. */
export function machine(threads: number): Record<string, string> {
  const flags = (field(cpuInfo(), 'flags') ?? '').split(' ');
  return {
    date: new Date().toISOString().slice(0, 10),
    CPU: cpuName(),
    'instruction sets': FLAGS.filter((flag) => flags.includes(flag)).join(' ') || process.arch,
    cores: `${availableParallelism()}, of which ${threads} are used`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${process.platform} ${process.arch}`,
    Node: process.versions.node,
  };
}
