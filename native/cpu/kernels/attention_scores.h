// SPDX-License-Identifier: Apache-2.0
/**
 * From dot products to scores:  t = softcap * tanh(scale * s / softcap) + bias, -Infinity where hidden.
 *
 * Both directions round scale * s before anything is added to it or taken from it. So where one key has all of the
 * weight its score is the logSumExp, bit for bit, and the backward pass finds a weight of 1, however large scores are.
 */
#pragma once

#include "cpu/kernels/attention_bias.h"
#include "cpu/kernels/attention_panel.h"

namespace tfxf {
namespace TFXF_ISA {

/** What every score of a call goes through. */
struct ScoreRule {
  float scale;
  float softcap;  // 0: off
  bool biased;
};

TFXF_INLINE ScoreRule score_rule(const AttentionArgs& args) {
  return {args.scale, args.softcap, args.bias.kind != BiasKind::kNone};
}

/** Whether a dot product only needs to be multiplied to become a score. */
TFXF_INLINE bool is_linear(const ScoreRule& rule) { return rule.softcap == 0.0f && !rule.biased; }

/** The score before bias and mask. */
TFXF_INLINE Vf capped(const ScoreRule& rule, Vf dot) {
  const Vf s = rounded(dot * rule.scale);
  return rule.softcap > 0.0f ? tanh(s / rule.softcap) * rule.softcap : s;
}

/** Where `hidden` (all ones or 0) the score is -Infinity, whatever the dot product is. */
TFXF_INLINE Vf hide(Vf t, Vi hidden) { return hidden ? splat(kHidden) : t; }

/** Biases may be as low as finite numbers get and hide nothing; only -Infinity does. */
constexpr float kLowestScore = -3.0e38f;

/** t for one vector; `bias` is 0 without bias. */
TFXF_INLINE Vf score(const ScoreRule& rule, Vf dot, Vf bias) {
  Vf s = capped(rule, dot);
  if (!rule.biased) return s;
  s = max_keep_nan(s + bias, splat(kLowestScore));
  return hide(s, reinterpret_cast<Vi>(bias == kHidden));
}

}  // namespace TFXF_ISA
}  // namespace tfxf
