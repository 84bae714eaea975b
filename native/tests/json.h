// SPDX-License-Identifier: Apache-2.0
/** Reads JSON: enough for the index of the golden cases and the headers of safetensors files. */
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tfxf {
namespace test {

struct Json {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0.0;
  std::string text;
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;

  bool is_null() const { return kind == Kind::kNull; }
  /** The member of this name, or null. */
  const Json& at(const std::string& name) const;
  bool has(const std::string& name) const { return !at(name).is_null(); }
  /** The numbers of an array. */
  std::vector<int64_t> integers() const;
};

/** Ends the program with a message where the text is not JSON. */
Json parse_json(const std::string& text);

}  // namespace test
}  // namespace tfxf
