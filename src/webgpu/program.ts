// SPDX-License-Identifier: Apache-2.0
/** A WGSL compute shader with its bindings, and the source text that both sides agree on. */
import { entryPoint } from './wgsl/grid.js';

export type UniformType = 'u32' | 'i32' | 'f32';

export interface Binding {
  name: string;
  /** WGSL type of the runtime array's elements. */
  element: string;
  access: 'read' | 'read_write';
}

export interface Program {
  /** Shown by tf.profile and in errors; one name per program file. */
  name: string;
  /** Everything that is baked into the source, so that equal keys mean equal sources. */
  key: string;
  bindings: readonly Binding[];
  /** Run-time scalars. `groups`, the number of workgroups wanted, is added to them. */
  uniforms: Readonly<Record<string, UniformType>>;
  workgroupSize: number;
  /** Whether it uses subgroup operations; `lane` is then the thread's place in its subgroup. */
  subgroups?: boolean;
  /** Directives of subgroup matrices, where it uses them; it then declares `subgroup` and `subgroups`, private variables. */
  matrices?: string;
  /** Functions, constants and `fn run(group: u32, lane: u32)`. */
  code(): string;
}

/** Declares a storage buffer that a program reads. */
export function reads(name: string, element: string): Binding {
  return { name, element, access: 'read' };
}

/** Declares a storage buffer that a program writes. */
export function writes(name: string, element: string): Binding {
  return { name, element, access: 'read_write' };
}

/** Names of a program's uniforms in the order of their place in the buffer. */
export function uniformNames(program: Program): string[] {
  return [...Object.keys(program.uniforms), 'groups'];
}

/**
 * The threads of a subgroup always take the same way through these programs, but by values that a
 * compiler cannot know to be the same for all of them.
 */
const SUBGROUPS = 'enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n';

/** The whole WGSL source of a program. */
export function sourceOf(program: Program): string {
  const buffers = program.bindings.map(
    ({ name, element, access }, index) =>
      `@group(0) @binding(${index}) var<storage, ${access}> ${name}: array<${element}>;`,
  );
  const fields = uniformNames(program).map(
    (name) => `  ${name}: ${program.uniforms[name] ?? 'u32'},`,
  );
  return /* wgsl */ `${program.subgroups ? SUBGROUPS : (program.matrices ?? '')}
${buffers.join('\n')}
struct Uniforms {
${fields.join('\n')}
}
@group(0) @binding(${program.bindings.length}) var<uniform> uniforms: Uniforms;
const WORKGROUP_SIZE = ${program.workgroupSize}u;
${program.code()}
${entryPoint(program)}`;
}
