// SPDX-License-Identifier: Apache-2.0
/** Reading test/golden; the formats are in its README.md. */
#include "tests/golden.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

std::string read_file(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) {
    fprintf(stderr, "cannot open %s (--golden names its folder)\n", path.c_str());
    exit(2);
  }
  std::string bytes;
  char part[65536];
  for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) bytes.append(part, n);
  fclose(file);
  return bytes;
}

uint32_t hash(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

/** Nearest even, straight from the definition: independent of common/dtype.h. */
float nearest_bfloat16(float value) {
  uint32_t word;
  memcpy(&word, &value, sizeof word);
  const uint32_t rest = word & 0xffffu, odd = (word >> 16) & 1u;
  word &= 0xffff0000u;
  if (rest > 0x8000u || (rest == 0x8000u && odd)) word += 0x10000u;
  memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace

const Json& golden_index() {
  static const Json index = parse_json(read_file(options().golden + "/index.json"));
  return index;
}

GoldenFile::GoldenFile(const std::string& path) : path_(path), bytes_(read_file(path)) {
  uint64_t length = 0;
  if (bytes_.size() >= 8) memcpy(&length, bytes_.data(), 8);
  data_ = 8 + length;
  const Json header = parse_json(bytes_.substr(8, length));
  for (const auto& member : header.members) {
    const std::vector<int64_t> ends = member.second.at("data_offsets").integers();
    if (ends.size() != 2) continue;
    const size_t width = member.second.at("dtype").text == "U16" ? 2 : 4;
    const size_t begin = static_cast<size_t>(ends[0]), end = static_cast<size_t>(ends[1]);
    entries_[member.first] = {begin, end - begin, width};
  }
}

const GoldenFile::Entry& GoldenFile::find(const std::string& name, size_t width) const {
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second.width != width) {
    fprintf(stderr, "%s holds no '%s' of %zu bytes an element\n", path_.c_str(), name.c_str(), width);
    exit(2);
  }
  return found->second;
}

void GoldenFile::copy(const std::string& name, void* to) const {
  const Entry& entry = entries_.at(name);
  if (entry.bytes > 0) memcpy(to, bytes_.data() + data_ + entry.begin, entry.bytes);
}

const GoldenFile& golden_file(const std::string& name) {
  static std::map<std::string, std::unique_ptr<GoldenFile>> files;
  std::unique_ptr<GoldenFile>& file = files[name];
  if (!file) file.reset(new GoldenFile(options().golden + "/" + name + ".safetensors"));
  return *file;
}

std::vector<float> draw_tensor(uint32_t seed, int64_t count, DType dtype, double scale,
                               double offset) {
  std::vector<float> values(static_cast<size_t>(count));
  const uint32_t base = seed * 0x9e3779b9u;
  for (int64_t i = 0; i < count; i++) {
    double total = 0.0;
    for (uint32_t t = 0; t < 4; t++) {
      total += hash(base + static_cast<uint32_t>(4 * i) + t) / 4294967296.0;
    }
    const float drawn = static_cast<float>((total - 2.0) * std::sqrt(3.0));
    const float value = static_cast<float>(drawn * scale + offset);
    values[static_cast<size_t>(i)] = dtype == DType::kBFloat16 ? nearest_bfloat16(value) : value;
  }
  return values;
}

}  // namespace test
}  // namespace tfxf
