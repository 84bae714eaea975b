// SPDX-License-Identifier: Apache-2.0
/**
 * bfloat16 in WGSL, the same integer arithmetic as bf16/rounding.ts. NaN is found by its bits:
 * a shader may assume that floats are never NaN, and `x != x` is false on some devices.
 */
export const BF16 = /* wgsl */ `
fn bf16_round_bits(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return (bits >> 16u) | 0x40u; }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}
fn bf16_pack(low: f32, high: f32) -> u32 {
  return bf16_round_bits(bitcast<u32>(low)) | (bf16_round_bits(bitcast<u32>(high)) << 16u);
}
fn bf16_low(word: u32) -> f32 { return bitcast<f32>(word << 16u); }
fn bf16_high(word: u32) -> f32 { return bitcast<f32>(word & 0xffff0000u); }
fn bf16_quad(words: vec2u) -> vec4f {
  return vec4f(bf16_low(words.x), bf16_high(words.x), bf16_low(words.y), bf16_high(words.y));
}
`;
