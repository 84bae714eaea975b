// SPDX-License-Identifier: Apache-2.0
/** The files of test/golden: the index, the stored tensors, and the inputs, which are drawn. */
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/dtype.h"
#include "tests/json.h"

namespace tfxf {
namespace test {

/** index.json. */
const Json& golden_index();

/** One safetensors file, read once. */
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path);
  bool has(const std::string& name) const { return entries_.count(name) > 0; }
  /** Elements of any dtype; the size of T must be that of the stored type. */
  template <typename T>
  std::vector<T> values(const std::string& name) const {
    std::vector<T> all(find(name, sizeof(T)).bytes / sizeof(T));
    copy(name, all.data());
    return all;
  }

 private:
  struct Entry {
    size_t begin, bytes, width;
  };
  const Entry& find(const std::string& name, size_t width) const;
  void copy(const std::string& name, void* to) const;

  std::string path_, bytes_;
  size_t data_ = 0;
  std::map<std::string, Entry> entries_;
};

/** "attention", "layernorm", "qknorm" or "bf16". */
const GoldenFile& golden_file(const std::string& name);

/** float32(draw(seed) * scale + offset), rounded to bfloat16 if it is stored so: test/golden/README.md. */
std::vector<float> draw_tensor(uint32_t seed, int64_t count, DType dtype = DType::kFloat32,
                               double scale = 1.0, double offset = 0.0);

}  // namespace test
}  // namespace tfxf
