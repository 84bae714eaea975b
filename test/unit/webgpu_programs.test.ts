// SPDX-License-Identifier: Apache-2.0
/** The cache key of a program must tell apart all sources: equal keys share a pipeline. */
import { expect } from 'chai';
import { attentionForwardProgram } from '../../src/webgpu/programs/attention_forward.js';
import type {
  AttentionDkdvVariant,
  AttentionForwardVariant,
} from '../../src/webgpu/programs/attention_passes.js';
import {
  dkdvProgram,
  dqProgram,
  forwardProgram,
} from '../../src/webgpu/programs/attention_programs.js';
import { normColumnSumProgram, normPartialProgram } from '../../src/webgpu/programs/norm_dgamma.js';
import { normDxPrograms, normForwardPrograms } from '../../src/webgpu/programs/norm_programs.js';
import type { NormTile } from '../../src/webgpu/norm_tile.js';
import { sourceOf, uniformNames } from '../../src/webgpu/program.js';
import type { Program } from '../../src/webgpu/program.js';
import { attentionStorage, attentionTile } from '../../src/webgpu/tuning.js';

const GPU = {
  software: false,
  workgroupStorage: 32768,
  maxInvocations: 256,
  quads: true,
  matrices: [],
};

type AnyVariant = AttentionForwardVariant & AttentionDkdvVariant;

function attentionVariants(): AnyVariant[] {
  const variants: AnyVariant[] = [];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    for (const k of [31, 64]) {
      for (const layout of ['dense', 'blocked', 'paged'] as const) {
        for (const bias of ['none', 'float', 'bool'] as const) {
          if (layout !== 'dense' && bias !== 'none') continue; // no mask has both
          for (const flag of [false, true]) {
            for (const software of [false, true]) {
              const tile = attentionTile({ ...GPU, software }, 'forward', k, k);
              const flags = { softcap: flag, dropout: !flag, sink: flag, packed: flag };
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

/** Every program of norms, forward and backward. */
function normPrograms(): Program[] {
  const programs: Program[] = [];
  const tiles: NormTile[] = [
    { by: 'blocks' },
    { by: 'thread' },
    { by: 'lanes', lanes: 1, quads: 1 },
    { by: 'lanes', lanes: 64, quads: 3 },
    { by: 'lanes', lanes: 64, quads: 8 },
    { by: 'segments', lanes: 64 },
    { by: 'segments', lanes: 256 },
  ];
  const add = (program: Program | null) => {
    if (program) programs.push(program);
  };
  for (const kind of ['layer', 'rms'] as const) {
    for (const x of ['float32', 'bfloat16'] as const) {
      for (const aligned of [true, false]) {
        for (const flag of [false, true]) {
          const weights = { gamma: 'float32', beta: flag ? 'float32' : null } as const;
          const residual = flag ? 'float32' : null;
          for (const tile of tiles) {
            if (tile.by === 'blocks' && !aligned) continue;
            const shared = { kind, x, aligned, tile, ...weights };
            const forward = normForwardPrograms({ ...shared, residual, output: x });
            const dx = normDxPrograms({ ...shared, dsum: flag });
            for (const { first, last } of [forward, dx]) [first, last].forEach(add);
          }
          for (const tile of [
            { columns: 16, lanes: 1 },
            { columns: 4, lanes: 64 },
          ]) {
            const columns = { aligned, gamma: true, beta: flag, tile };
            add(normPartialProgram({ ...columns, x }));
            add(normColumnSumProgram(columns));
          }
        }
      }
    }
  }
  return programs;
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

  it('attention: declares the workgroup memory that the tile was chosen by', () => {
    const bytesOf: Record<string, number> = { f32: 4, vec2f: 8, vec4f: 16 };
    const makers = { forward: forwardProgram, dq: dqProgram, dkdv: dkdvProgram };
    for (const pass of ['forward', 'dq', 'dkdv'] as const) {
      for (const [k, v] of [
        [36, 36],
        [1, 40],
        [80, 80],
        [130, 7],
        [180, 256],
        [64, 64],
      ] as const) {
        for (const workgroupStorage of [16384, 32768]) {
          const tile = attentionTile({ ...GPU, workgroupStorage }, pass, k, v);
          const variant = { ...attentionVariants()[0]!, bias: 'none' as const, k, v, tile };
          const declared = sourceOf(makers[pass](variant)).matchAll(
            /var<workgroup> \w+: array<(\w+), (\w+)>/g,
          );
          const bytes = [...declared].reduce(
            (sum, [, type, size]) => sum + bytesOf[type!]! * (size === 'KEYS' ? tile.keys : +size!),
            0,
          );
          const counted = attentionStorage(pass, tile, Math.ceil(k / 4), Math.ceil(v / 4));
          expect(bytes, `${pass}, K ${k}, V ${v}`).to.equal(counted).and.at.most(workgroupStorage);
        }
      }
    }
  });

  it('norms: different sources have different keys', () => {
    expectDistinct(normPrograms());
  });

  it('no program needs more than the eight storage buffers that every device has', () => {
    const programs = attentionVariants().flatMap((v) => [
      forwardProgram(v),
      dqProgram(v),
      dkdvProgram(v),
    ]);
    for (const { bindings } of [...programs, ...normPrograms()]) {
      expect(bindings.length).to.be.at.most(8);
    }
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
