// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/stand_in_call.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "cuda/launch.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

bool matches(const std::string& call, const std::string& pattern) {
  size_t at = 0;
  for (const char sign : pattern) {
    if (sign != '*') {
      if (at >= call.size() || call[at++] != sign) return false;
      continue;
    }
    while (at < call.size() && call[at] >= '0' && call[at] <= '9') at++;
  }
  return at == call.size();
}

}  // namespace

std::string stand_in_path(const std::string& kind) { return TFXF_STAND_INS "/libcuda_stand_in" + kind + ".so"; }

StandInScope::StandInScope(const std::string& kind) : path_(stand_in_path(kind)) {
  void* library = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* symbol = library != nullptr ? dlsym(library, "tfxf_stand_in") : nullptr;
  if (symbol == nullptr) {
    fprintf(stderr, "%s cannot be opened\n", path_.c_str());
    exit(2);
  }
  stand_in_ = reinterpret_cast<cuda::StandInOf>(symbol)();
  *stand_in_ = cuda::StandIn();
}

StandInScope::~StandInScope() { *stand_in_ = cuda::StandIn(); }

std::string StandInScope::name_in(const std::string& name, int n) const {
  for (const std::string& call : stand_in_->calls) {
    if (call.compare(0, name.size(), name) != 0) continue;
    std::string rest = call.substr(name.size());
    for (; n > 0; n--) rest = rest.substr(rest.find(' ') + 1);
    return rest.substr(0, rest.find(' '));
  }
  fail("there was no call of " + name);
  return "";
}

void StandInScope::expect(const std::vector<std::string>& calls) const {
  const std::vector<std::string>& got = stand_in_->calls;
  for (size_t n = 0; n < calls.size() || n < got.size(); n++) {
    const std::string want = n < calls.size() ? calls[n] : "no more", found = n < got.size() ? got[n] : "no more";
    if (!matches(found, want)) fail(format("call %zu is '%s', expected '%s'", n, found.c_str(), want.c_str()));
  }
}

bool Small::run(cuda::Device& device, cuda::Error& error) {
  const cuda::DeviceScope scope(device, error);
  return scope.ok() && cuda::begin_after_context(device, error) &&
         cuda::pack_bfloat16(device, {1, 3, x, y}, error) && cuda::end_before_context(device, error);
}

}  // namespace test
}  // namespace tfxf
