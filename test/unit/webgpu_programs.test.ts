// SPDX-License-Identifier: Apache-2.0
/** The cache key of a program must tell apart all sources: equal keys share a pipeline. */
import { expect } from 'chai';
import { attentionForwardProgram } from '../../src/webgpu/programs/attention_forward.js';
import type { AttentionForwardVariant } from '../../src/webgpu/programs/attention_forward.js';
import {
  dkdvProgram,
  dqProgram,
  forwardProgram,
} from '../../src/webgpu/programs/attention_programs.js';
import { normForwardProgram } from '../../src/webgpu/programs/norm_forward.js';
import { sourceOf, uniformNames } from '../../src/webgpu/program.js';
import type { Program } from '../../src/webgpu/program.js';
import { attentionTile } from '../../src/webgpu/tuning.js';

const GPU = { software: false, workgroupStorage: 32768, maxInvocations: 256 };

function attentionVariants(): AttentionForwardVariant[] {
  const variants: AttentionForwardVariant[] = [];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    for (const k of [31, 64]) {
      for (const layout of ['dense', 'blocked', 'paged'] as const) {
        for (const bias of ['none', 'float', 'bool'] as const) {
          if (layout !== 'dense' && bias !== 'none') continue; // no mask has both
          for (const flag of [false, true]) {
            for (const software of [false, true]) {
              const tile = attentionTile({ ...GPU, software }, 'forward', k, k);
              const flags = { softcap: flag, dropout: !flag, sink: flag };
              variants.push({ k, v: k, dtype, output: dtype, layout, bias, tile, ...flags });
            }
          }
        }
      }
    }
  }
  return variants;
}

function expectDistinct(programs: Program[]): void {
  const sources = new Map<string, string>();
  for (const program of programs) {
    const key = `${program.name}:${program.workgroupSize}:${program.key}`;
    const source = sourceOf(program);
    expect(sources.get(key) ?? source, key).to.equal(source);
    sources.set(key, source);
  }
  expect(new Set(sources.values()).size).to.equal(sources.size);
}

describe('WebGPU programs', () => {
  it('attention: different sources have different keys', () => {
    const variants = attentionVariants();
    expectDistinct([
      ...variants.map(forwardProgram),
      ...variants.map(dqProgram),
      ...variants.map(dkdvProgram),
    ]);
  });

  it('norms: different sources have different keys', () => {
    const programs: Program[] = [];
    for (const kind of ['layer', 'rms'] as const) {
      for (const x of ['float32', 'bfloat16'] as const) {
        for (const lanes of [1, 8]) {
          for (const residual of [null, 'float32'] as const) {
            const weights = { gamma: 'float32', beta: null } as const;
            const variant = { kind, x, lanes, residual, aligned: true, output: x, ...weights };
            programs.push(normForwardProgram(variant));
          }
        }
      }
    }
    expectDistinct(programs);
  });

  it('no program needs more than the eight storage buffers that every device has', () => {
    const programs = attentionVariants().flatMap((v) => [
      forwardProgram(v),
      dqProgram(v),
      dkdvProgram(v),
    ]);
    for (const { bindings } of programs) expect(bindings.length).to.be.at.most(8);
  });

  it('lengths are uniforms, not part of the source', () => {
    const [variant] = attentionVariants();
    expect(uniformNames(attentionForwardProgram(variant!))).to.include.members([
      'queries',
      'keys',
      'scale',
      'window_left',
      'seed',
      'groups',
    ]);
  });
});
