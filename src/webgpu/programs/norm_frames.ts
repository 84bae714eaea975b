// SPDX-License-Identifier: Apache-2.0
/**
 * The frames of the norms' programs: threads that share a row, several rows to a workgroup, and workgroups that take a
 * segment of a row each. A frame says where a thread is; the functions and what is done there come from the program.
 */
import { reads } from '../program.js';
import type { Binding, Program } from '../program.js';
import { BF16 } from '../wgsl/bf16.js';
import { rowSum } from '../wgsl/row_sum.js';
import { elementOf, tailMask } from '../wgsl/tensor.js';
import type { RowTensor } from '../wgsl/tensor.js';

type Interface = Pick<Program, 'name' | 'key' | 'bindings' | 'uniforms'>;

export interface NormBody {
  /** Threads that share a row, or a segment. */
  lanes: number;
  /** What `row_sum` adds up over them. */
  sums: 'f32' | 'vec4f';
  /** Whose rows end where `in_row` says. */
  row: Pick<RowTensor, 'length' | 'aligned'>;
  functions: readonly string[];
  /** Statements of all threads, as sums want. */
  all: string;
  /** Statements after those, of the threads whose row is there. */
  own: string;
}

const WORKGROUP = 64;

/** Threads of a workgroup in which `lanes` share a row. */
export function normWorkgroup(lanes: number): number {
  return Math.max(WORKGROUP, lanes);
}

/** Rows of such a workgroup. */
export function rowsOfWorkgroup(lanes: number): number {
  return normWorkgroup(lanes) / lanes;
}

/** Bindings of those inputs that there are. */
export function inputBindings(inputs: readonly (RowTensor | null)[]): Binding[] {
  return inputs
    .filter((input) => input !== null)
    .map((input) => reads(input.name, elementOf(input)));
}

function codeOf({ lanes, sums, row, functions }: NormBody, run: string): string {
  return /* wgsl */ `
${BF16}
${tailMask(row)}
${rowSum(lanes, sums)}
const LANES = ${lanes}u;
${functions.join('\n')}
fn run(group: u32, lane: u32) {
${run}
}`;
}

/** A thread takes the quads first, first + LANES, … below `end` of `row`. Where rows are missing it is the last one again. */
const ROW = /* wgsl */ `
  let wanted = group * (WORKGROUP_SIZE / LANES) + lane / LANES;
  let row = min(wanted, uniforms.rows - 1u);
  let first = lane % LANES;
  let end = (uniforms.length + 3u) / 4u;`;

const NO_ROW = '  if (wanted >= uniforms.rows) { return; }';

/** A workgroup owns rowsOfWorkgroup(lanes) rows. */
export function rowsProgram(shared: Interface, body: NormBody): Program {
  const { lanes, all, own } = body;
  // A thread by itself takes part in no sum.
  const run = lanes === 1 ? [ROW, NO_ROW, all, own] : [ROW, all, NO_ROW, own];
  return {
    ...shared,
    workgroupSize: normWorkgroup(lanes),
    code: () => codeOf(body, run.join('\n')),
  };
}

/** The same of the workgroup's segment of `row`. */
const SEGMENT = /* wgsl */ `
  let row = group / uniforms.segments;
  let segment = group % uniforms.segments;
  let first = segment * uniforms.segment_quads + lane;
  let end = min((uniforms.length + 3u) / 4u, (segment + 1u) * uniforms.segment_quads);`;

/** A workgroup owns a segment of one row. */
export function segmentsProgram(shared: Interface, body: NormBody): Program {
  return {
    ...shared,
    uniforms: { ...shared.uniforms, segments: 'u32', segment_quads: 'u32' },
    workgroupSize: body.lanes,
    code: () => codeOf(body, [SEGMENT, body.all, body.own].join('\n')),
  };
}
