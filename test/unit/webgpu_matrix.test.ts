// SPDX-License-Identifier: Apache-2.0
/**
 * Subgroup matrices: when they are chosen, and that Dawn takes the WGSL of their programs. The suites run the same programs
 * with the products emulated; no software adapter computes real ones. Dawn's null backend has every feature
 * and computes nothing, but compiles WGSL as the others do.
 */
import { expect } from 'chai';
import { create } from 'webgpu';
import {
  MATRIX_FEATURE,
  isMatrix,
  matrixShapes,
  matrixStorage,
  matrixTile,
} from '../../src/webgpu/matrix_tile.js';
import type { MatrixShape } from '../../src/webgpu/matrix_tile.js';
import {
  dkdvProgram,
  dqProgram,
  forwardProgram,
} from '../../src/webgpu/programs/attention_programs.js';
import type {
  AttentionDkdvVariant,
  AttentionForwardVariant,
} from '../../src/webgpu/programs/attention_passes.js';
import { sourceOf } from '../../src/webgpu/program.js';
import type { Program } from '../../src/webgpu/program.js';
import type { AttentionPass, DeviceFacts } from '../../src/webgpu/tuning.js';

const FACTS: DeviceFacts = {
  software: false,
  workgroupStorage: 32768,
  maxInvocations: 256,
  quads: false,
  matrices: [],
};
const APPLE: MatrixShape = { rows: 8, columns: 8, inner: 8, component: 'f32' };
const INTEL: MatrixShape = { rows: 8, columns: 16, inner: 16, component: 'f16' };
const NVIDIA: MatrixShape = { rows: 16, columns: 16, inner: 16, component: 'f16' };

type Variant = AttentionForwardVariant & AttentionDkdvVariant;

const PASSES: readonly AttentionPass[] = ['forward', 'dq', 'dkdv'];
const PROGRAMS: Record<AttentionPass, (variant: Variant) => Program> = {
  forward: forwardProgram,
  dq: dqProgram,
  dkdv: dkdvProgram,
};

function variants(pass: AttentionPass, matrix: MatrixShape, facts = FACTS): Variant[] {
  const dtype = 'bfloat16' as const;
  const tileOf = (k: number, v: number) =>
    matrixTile({ ...facts, matrices: [matrix] }, pass, dtype, k, v)!;
  return [false, true].flatMap((flag) =>
    (['dense', 'blocked', 'paged'] as const).map((layout): Variant => ({
      ...(flag ? { k: 15, v: 24, tile: tileOf(15, 24) } : { k: 16, v: 16, tile: tileOf(16, 16) }),
      ...{ dtype, output: flag ? 'float32' : dtype, layout, sink: flag },
      ...{ bias: layout === 'dense' && flag ? 'float' : 'none', softcap: flag, dropout: flag },
      packed: !flag && layout === 'dense',
    })),
  );
}

/** A device with these features and infos, as far as matrixShapes looks at it. */
function deviceWith(features: string[], info: object): GPUDevice {
  return { features: new Set(features), adapterInfo: info } as unknown as GPUDevice;
}

describe('WebGPU subgroup matrices', () => {
  it('are used where a device has the feature, sizes that do not vary, and float32 results', () => {
    const config = (componentType: string, resultComponentType: string, M: number) => ({
      ...{ componentType, resultComponentType },
      ...{ M, N: 16, K: 16 },
    });
    const subgroupMatrixConfigs = [
      config('f16', 'f16', 16),
      config('f16', 'f32', 8),
      config('u8', 'u32', 8),
      config('f16', 'f32', 16),
    ];
    const info = { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs };
    const all = [MATRIX_FEATURE, 'shader-f16', 'subgroups'];
    expect(matrixShapes(deviceWith(all, info))).to.deep.equal([NVIDIA, INTEL]);
    expect(matrixShapes(deviceWith(all, { ...info, subgroupMinSize: 16 }))).to.be.empty;
    expect(matrixShapes(deviceWith([MATRIX_FEATURE], info))).to.be.empty;
    expect(matrixShapes(deviceWith(['shader-f16', 'subgroups'], info))).to.be.empty;
    expect(matrixShapes(deviceWith(all, { ...info, subgroupMatrixConfigs: undefined }))).to.be
      .empty;
  });

  it('float16 factors serve bfloat16 alone, float32 ones both; a tile fits the device', () => {
    const facts = (matrices: MatrixShape[]) => ({ ...FACTS, matrices });
    for (const pass of PASSES) {
      const tileOf = (of: DeviceFacts, dtype: 'float32' | 'bfloat16', size = 64) =>
        matrixTile(of, pass, dtype, size, size);
      expect(tileOf(facts([NVIDIA]), 'float32')).to.equal(null);
      expect(tileOf(facts([NVIDIA, APPLE]), 'float32')?.matrix).to.equal(APPLE);
      expect(tileOf(facts([NVIDIA, APPLE]), 'bfloat16')?.matrix).to.equal(NVIDIA);
      expect(tileOf({ ...facts([NVIDIA]), software: true }, 'bfloat16')).to.equal(null);
      expect(tileOf({ ...facts([NVIDIA]), maxInvocations: 64 }, 'bfloat16')).to.equal(null);
      const small = { ...facts([NVIDIA]), workgroupStorage: 16384 };
      expect(tileOf(small, 'bfloat16', 256)).to.equal(null);
      for (const matrix of [APPLE, INTEL, NVIDIA]) {
        for (const size of [1, 31, 64, 80, 128]) {
          const tile = tileOf(facts([matrix]), 'bfloat16', size);
          if (!tile) continue;
          expect(matrixStorage(pass, tile, size, size)).to.be.at.most(32768);
          const { rows, keys } = tile;
          // Of dK and dV queries, which are streamed, are the rows of scores.
          const scores =
            pass === 'dkdv'
              ? (keys % matrix.rows) + (rows % matrix.columns)
              : keys % matrix.columns;
          expect(scores + (rows % matrix.rows) + (keys % matrix.inner)).to.equal(0);
        }
      }
    }
    const sizes = (pass: AttentionPass, workgroupStorage: number) => {
      const tile = matrixTile({ ...facts([NVIDIA]), workgroupStorage }, pass, 'bfloat16', 64, 64);
      return tile && [tile.rows, tile.keys];
    };
    expect(sizes('forward', 32768)).to.deep.equal([32, 32]);
    expect(sizes('forward', 16384)).to.deep.equal([16, 32]);
    expect(sizes('dq', 49152)).to.deep.equal([32, 32]);
    expect(sizes('dq', 32768)).to.deep.equal([16, 32]);
    expect(sizes('dkdv', 32768)).to.deep.equal([16, 16]);
  });

  it('programs declare the workgroup memory that the tile was chosen by', () => {
    for (const matrix of [APPLE, INTEL, NVIDIA, { ...NVIDIA, emulated: 32 }]) {
      for (const pass of PASSES) {
        for (const variant of variants(pass, matrix)) {
          const { tile } = variant;
          if (!isMatrix(tile)) throw new Error('no matrix tile');
          const factor = matrix.component === 'f16' && !matrix.emulated ? 2 : 4;
          const bytesOf: Record<string, number> = {
            ...{ Factor: factor, f32: 4, vec2f: 8, 'atomic<u32>': 4 },
          };
          const source = sourceOf(PROGRAMS[pass](variant));
          const declared = [...source.matchAll(/var<workgroup> \w+: array<(.+), (\d+)>;/g)];
          expect(declared).to.have.length(source.match(/var<workgroup>/g)!.length);
          const bytes = declared.reduce((sum, [, type, n]) => sum + bytesOf[type!]! * +n!, 0);
          expect(bytes, pass).to.equal(matrixStorage(pass, tile, variant.k, variant.v));
        }
      }
    }
  });

  it("Dawn compiles them, with its matrices' types of rows, columns and factors", async function () {
    this.timeout(60000);
    const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
    // Dawn dies when this object is collected.
    Object.assign(globalThis, { dawnNull: gpu });
    const adapter = (await gpu.requestAdapter())!;
    const device = await adapter.requestDevice({
      requiredFeatures: [MATRIX_FEATURE as GPUFeatureName, 'shader-f16', 'subgroups'],
    });
    // It has no more workgroup memory than the smallest that WebGPU allows.
    const smallest = { ...FACTS, workgroupStorage: device.limits.maxComputeWorkgroupStorageSize };
    const errorOf = async (code: string) => {
      device.pushErrorScope('validation');
      const module = device.createShaderModule({ code });
      device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
      return (await device.popErrorScope())?.message;
    };
    // Scores, and what is added up: of split factors the rests as well.
    const products: Record<AttentionPass, Record<MatrixShape['component'], number>> = {
      forward: { f32: 2, f16: 1 + 2 },
      dq: { f32: 3, f16: 1 + 2 + 2 },
      dkdv: { f32: 4, f16: 1 + 2 + 3 + 2 },
    };
    for (const matrix of [APPLE, INTEL, NVIDIA]) {
      for (const pass of PASSES) {
        for (const variant of variants(pass, matrix, smallest)) {
          const code = sourceOf(PROGRAMS[pass](variant));
          expect(code.match(/subgroupMatrixMultiplyAccumulate/g)).to.have.length(
            products[pass][matrix.component],
          );
          expect(await errorOf(code), JSON.stringify(variant)).to.equal(undefined);
        }
      }
    }
    // That it would tell: a left matrix with its rows and columns exchanged.
    const code = sourceOf(forwardProgram(variants('forward', INTEL, smallest)[0]!));
    const wrong = code.replaceAll(
      'subgroup_matrix_left<f16, 16, 8>',
      'subgroup_matrix_left<f16, 8, 16>',
    );
    expect(wrong).to.not.equal(code);
    expect(await errorOf(wrong)).to.match(/no matching call to 'subgroupMatrixMultiplyAccumulate/);
  });
});
