// SPDX-License-Identifier: Apache-2.0
/**
 * The WGSL of the device's own limits.
 *
 * Copy: a thread moves one or four quads (of four float32), neighbours next to each other.
 *
 * Matrix product C = A B of n x n, n a multiple of 128: a workgroup owns a tile of C, a thread T x T
 * of its elements in registers. In the shared kernels the workgroup brings K_STEP columns of A and rows
 * of B to workgroup memory, A transposed, and every thread reads its T values of each; 2 barriers a
 * step. The direct kernel reads them from where they are, for devices whose barriers are software.
 */

export interface LimitKernel {
  code: string;
  groups: [number, number];
}

const COPY_THREADS = 256;

function copyKernel(quads: number, each: number, limits: GPUSupportedLimits): LimitKernel {
  const wanted = Math.ceil(quads / COPY_THREADS / each);
  const width = Math.min(wanted, limits.maxComputeWorkgroupsPerDimension);
  const height = Math.ceil(wanted / width);
  return {
    groups: [width, height],
    code: `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;
@compute @workgroup_size(${COPY_THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = (group.y * ${width}u + group.x) * ${COPY_THREADS * each}u + thread;
  for (var n = 0u; n < ${each}u; n++) {
    let i = first + n * ${COPY_THREADS}u;
    if (i < ${quads}u) { destination[i] = source[i]; }
  }
}`,
  };
}

export function copyKernels(quads: number, limits: GPUSupportedLimits): LimitKernel[] {
  return [1, 4].map((each) => copyKernel(quads, each, limits));
}

const BINDINGS = `
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;`;

const K_STEP = 16;

const unrolled = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n');

/** Tiles of 64 (each thread 4 x 4) or 128 (8 x 8); 256 threads. */
function sharedMatmul(n: number, each: 4 | 8): LimitKernel {
  const tile = 16 * each;
  const quads = each / 4;
  const rowQuads = n / 4;
  const loads = (tile * K_STEP) / 4 / 256;
  return {
    groups: [n / tile, n / tile],
    code: `${BINDINGS}
var<workgroup> aTile: array<f32, ${tile * K_STEP}>;
var<workgroup> bTile: array<vec4f, ${(tile * K_STEP) / 4}>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = thread / 16u;
  let column = thread % 16u;
  var sums: array<vec4f, ${each * quads}>;
  for (var k = 0u; k < ${n}u; k += ${K_STEP}u) {
    ${unrolled(
      loads,
      (l) => `{
      let at = thread + ${256 * l}u;
      let aRow = at / ${K_STEP / 4}u;
      let aQuad = at % ${K_STEP / 4}u;
      let values = a[(group.y * ${tile}u + aRow) * ${rowQuads}u + k / 4u + aQuad];
      for (var m = 0u; m < 4u; m++) { aTile[(4u * aQuad + m) * ${tile}u + aRow] = values[m]; }
      bTile[at] = b[(k + at / ${tile / 4}u) * ${rowQuads}u + group.x * ${tile / 4}u + at % ${tile / 4}u];
    }`,
    )}
    workgroupBarrier();
    for (var step = 0u; step < ${K_STEP}u; step++) {
      ${unrolled(quads, (q) => `let right${q} = bTile[step * ${tile / 4}u + column + ${16 * q}u];`)}
      for (var r = 0u; r < ${each}u; r++) {
        let left = aTile[step * ${tile}u + row * ${each}u + r];
        ${unrolled(quads, (q) => `sums[r * ${quads}u + ${q}u] = fma(vec4f(left), right${q}, sums[r * ${quads}u + ${q}u]);`)}
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < ${each}u; r++) {
    ${unrolled(
      quads,
      (q) =>
        `c[(group.y * ${tile}u + row * ${each}u + r) * ${rowQuads}u + group.x * ${tile / 4}u + column + ${16 * q}u] = sums[r * ${quads}u + ${q}u];`,
    )}
  }
}`,
  };
}

function directMatmul(n: number): LimitKernel {
  const rowQuads = n / 4;
  return {
    groups: [n / 128, n / 32],
    code: `${BINDINGS}
@compute @workgroup_size(16, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = 4u * id.y;
  let column = 2u * id.x;
  ${unrolled(8, (n) => `var sum${n} = vec4f();`)}
  for (var k = 0u; k < ${rowQuads}u; k++) {
    ${unrolled(4, (r) => `let left${r} = a[(row + ${r}u) * ${rowQuads}u + k];`)}
    ${unrolled(
      4,
      (m) => `{
      let at = (4u * k + ${m}u) * ${rowQuads}u + column;
      let right0 = b[at];
      let right1 = b[at + 1u];
      ${unrolled(
        4,
        (r) => `sum${2 * r} = fma(vec4f(left${r}[${m}]), right0, sum${2 * r});
      sum${2 * r + 1} = fma(vec4f(left${r}[${m}]), right1, sum${2 * r + 1});`,
      )}
    }`,
    )}
  }
  ${unrolled(
    4,
    (r) => `c[(row + ${r}u) * ${rowQuads}u + column] = sum${2 * r};
  c[(row + ${r}u) * ${rowQuads}u + column + 1u] = sum${2 * r + 1};`,
  )}
}`,
  };
}

/** @param n rows and columns, a multiple of 128 */
export function matmulKernels(n: number, limits: GPUSupportedLimits): LimitKernel[] {
  const shared = limits.maxComputeInvocationsPerWorkgroup >= 256 ? ([4, 8] as const) : [];
  return [...shared.map((each) => sharedMatmul(n, each)), directMatmul(n)];
}
