// SPDX-License-Identifier: Apache-2.0
/** Which tables are tested, said in the first test of a run. */
#include "tests/tables.h"

#include <cstdio>
#include <cstdlib>

#include "tests/runner.h"

namespace tfxf {

#if defined(TFXF_EMULATED_TILES)
namespace amxemulated {
const KernelTable& table();
}
#endif

namespace test {

/** Every table that the processor runs; last, if it has the instructions, the one of emulated_tiles.h. */
static std::vector<const KernelTable*> runnable_tables() {
  const KernelTable* found[8];
  const int count = available_kernels(found, 8);
  std::vector<const KernelTable*> all(found, found + count);
#if defined(TFXF_EMULATED_TILES)
  for (int n = 0; n < count; n++) {
    if (found[n]->name == std::string("avx512bf16")) all.push_back(&amxemulated::table());
  }
#endif
  return all;
}

static std::vector<const KernelTable*> find_tables() {
  std::vector<const KernelTable*> kept;
  for (const KernelTable* table : runnable_tables()) {
    if (options().isa.empty() || options().isa == table->name) kept.push_back(table);
  }
  if (!kept.empty()) return kept;
  fprintf(stderr, "no table of kernels that runs here is named '%s'\n", options().isa.c_str());
  exit(2);
}

const std::vector<const KernelTable*>& tables() {
  static const std::vector<const KernelTable*> all = find_tables();
  return all;
}

int64_t most_head_dim() { return INT64_MAX; }

bool round_doutput() { return false; }

bool keep_infinities() { return true; }

int64_t most_work() { return INT64_MAX; }

TFXF_TEST(best_first, "common/tables/the best comes first, and is chosen") {
  const KernelTable* found[8];
  const int count = available_kernels(found, 8);
  TFXF_CHECK(count >= 1 && found[count - 1]->name == std::string("baseline"));
  const char* wanted = getenv("TFXF_ISA");
  TFXF_CHECK(&kernels() == found[0] || (wanted != nullptr && is_name_of(kernels(), wanted)));
  const KernelTable* first = nullptr;
  TFXF_CHECK(available_kernels(&first, 1) == 1 && first == found[0]);
  for (const char* text : {"baseline", "Baseline", "BASE-line ", "base_line"}) {
    TFXF_CHECK(is_name_of(*found[count - 1], text));
  }
  for (const char* text : {"", "base", "baseline2", "avx2"}) {
    TFXF_CHECK(!is_name_of(*found[count - 1], text));
  }
  printf("tables:");
  for (const KernelTable* table : tables()) printf(" %s", table->name);
  printf("\n");
}

}  // namespace test
}  // namespace tfxf
