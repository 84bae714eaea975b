// SPDX-License-Identifier: Apache-2.0
/**
 * Attention and its gradients as plain loops over the definition.
 *
 *     s   = softcap * tanh(scale * q·k / softcap) + bias       p = exp(s - lse), over the visible keys
 *     lse = log(sum exp(s) + exp(sink))                        out = sum_j p_j * keep_j / (1 - drop) * v_j
 *
 * In float64 it is the reference. In kNaive arithmetic every operation is in float32, and with
 * bfloat16 storage every tensor between two operations is rounded too: the naive composition.
 */
#pragma once

#include "tests/attention_problem.h"

namespace tfxf {
namespace test {

enum class Arithmetic { kExact, kNaive };

struct AttentionForward {
  std::vector<double> output;       // [B,Mq,H,V]
  std::vector<double> log_sum_exp;  // [B,H,Mq]
};
AttentionForward reference_forward(const AttentionProblem& p, Arithmetic arithmetic = Arithmetic::kExact);

struct AttentionGradients {
  std::vector<double> query, key, value, bias, sink;
};

/**
 * Gradients of sum(output * doutput) + sum(logSumExp * dlogSumExp). With `output`, what the forward
 * call stored, the product sum(output * doutput) of a row is taken from it: the gradient kernel sees
 * nothing else, so that its own errors can be told from those of a rounded output.
 */
AttentionGradients reference_gradients(const AttentionProblem& p,
                                       Arithmetic arithmetic = Arithmetic::kExact,
                                       const std::vector<float>* output = nullptr);

}  // namespace test
}  // namespace tfxf
