// SPDX-License-Identifier: Apache-2.0
/**
 * The kernels of one instruction set. native/cpu/kernels is compiled once for each, with TFXF_ISA
 * naming the namespace; kernels() picks the best table that the processor runs.
 *
 * Kernels check nothing: callers (native/ops) have checked all sizes. They allocate nothing, throw
 * nothing, and give the same bits for any number of workers.
 */
#pragma once

#include "cpu/attention.h"
#include "cpu/norm.h"
#include "cpu/parallel.h"

namespace tfxf {

struct KernelTable {
  const char* name;  // "amxbf16", "avx512bf16", "avx512", "avx2", "baseline"
  void (*norm_forward)(const NormForwardArgs&, const Parallel&);
  void (*norm_backward)(const NormBackwardArgs&, const Parallel&);
  void (*pack_bfloat16)(const ConvertArgs&, const Parallel&);    // float32 -> bfloat16
  void (*unpack_bfloat16)(const ConvertArgs&, const Parallel&);  // bfloat16 -> float32
  /** Bytes of workspace for this call on this many workers. */
  int64_t (*attention_forward_workspace)(const AttentionArgs&, int workers);
  void (*attention_forward)(const AttentionForwardArgs&, const Parallel&);
  /** Looks at the outputs that are wanted, not at the inputs' data. */
  int64_t (*attention_backward_workspace)(const AttentionBackwardArgs&, int workers);
  /** Computes those of dquery/dkey/dvalue, dbias and dsink that are not null. */
  void (*attention_backward)(const AttentionBackwardArgs&, const Parallel&);
};

/** Whether a text means this table: capitals, spaces and hyphens do not count. */
bool is_name_of(const KernelTable& table, const char* text);

/** The best table that this processor runs, or the one that TFXF_ISA in the environment names. */
const KernelTable& kernels();

/** Every table of this build that the processor runs, best first; returns how many. */
int available_kernels(const KernelTable** tables, int capacity);

}  // namespace tfxf
