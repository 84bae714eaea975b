// SPDX-License-Identifier: Apache-2.0
/** The stand-in in a test: as new, and what it was called with; and a small call of a kernel. */
#pragma once

#include <string>
#include <vector>

#include "cuda/driver.h"
#include "tests/cuda/stand_in.h"

namespace tfxf {
namespace test {

/** File of the stand-in of this kind: "", "_old" or "_broken". */
std::string stand_in_path(const std::string& kind);

/** Its settings are the usual ones before and after. */
class StandInScope {
 public:
  explicit StandInScope(const std::string& kind = "");
  ~StandInScope();
  StandInScope(const StandInScope&) = delete;
  StandInScope& operator=(const StandInScope&) = delete;

  cuda::StandIn* operator->() const { return stand_in_; }
  const char* path() const { return path_.c_str(); }
  /** Word `n` of what the first call that begins with `name` was called with. */
  std::string name_in(const std::string& name, int n) const;
  /** Fails unless these were the calls; an asterisk stands for digits. */
  void expect(const std::vector<std::string>& calls) const;

 private:
  std::string path_;
  cuda::StandIn* stand_in_;
};

/** Three numbers to bfloat16, between the context's other work. */
struct Small {
  float x[3] = {1.0f, 2.0f, 3.0f};
  uint32_t y[2] = {};

  bool run(cuda::Device& device, cuda::Error& error);
  bool is_right() const { return y[0] == 0x40003f80u && y[1] == 0x4040u; }
};

}  // namespace test
}  // namespace tfxf
