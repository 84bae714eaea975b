// SPDX-License-Identifier: Apache-2.0
const SUBGROUP_PLACE =
  ', @builtin(subgroup_id) own_subgroup: u32, @builtin(num_subgroups) all_subgroups: u32';

/**
 * Entry point of every program. A dispatch dimension holds 65,535 groups, so the host folds larger
 * grids into two dimensions (dispatcher.ts) and the groups past the end stop here, all lanes alike.
 */
export function entryPoint({
  subgroups,
  matrices,
}: {
  subgroups?: boolean;
  matrices?: string;
}): string {
  const lane = subgroups ? 'subgroup_invocation_id' : 'local_invocation_index';
  return /* wgsl */ `
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
        @builtin(${lane}) lane: u32${matrices === undefined ? '' : SUBGROUP_PLACE}) {
  ${matrices === undefined ? '' : 'subgroup = own_subgroup;\n  subgroups = all_subgroups;'}
  let group = id.y * count.x + id.x;
  if (group >= uniforms.groups) { return; }
  run(group, lane);
}
`;
}
