// SPDX-License-Identifier: Apache-2.0
/** A recursive descent over the grammar of RFC 8259; escapes of letters outside ASCII are not needed here. */
#include "tests/json.h"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tfxf {
namespace test {
namespace {

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Json document() {
    Json value = parse_value();
    skip_space();
    if (at_ != text_.size()) stop("more than one value");
    return value;
  }

 private:
  [[noreturn]] void stop(const char* what) const {
    fprintf(stderr, "JSON: %s at byte %zu\n", what, at_);
    exit(2);
  }

  void skip_space() {
    while (at_ < text_.size() && isspace(static_cast<unsigned char>(text_[at_]))) at_++;
  }

  bool take(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    at_++;
    return true;
  }

  void need(char wanted) {
    if (!take(wanted)) stop("another character was expected");
  }

  bool take_word(const char* word) {
    const size_t length = strlen(word);
    if (text_.compare(at_, length, word) != 0) return false;
    at_ += length;
    return true;
  }

  Json parse_value() {
    skip_space();
    Json value;
    if (at_ >= text_.size()) stop("a value was expected");
    const char first = text_[at_];
    if (first == '{') {
      parse_object(value);
    } else if (first == '[') {
      parse_array(value);
    } else if (first == '"') {
      value.kind = Json::Kind::kString;
      value.text = parse_string();
    } else if (take_word("true") || take_word("false")) {
      value.kind = Json::Kind::kBool;
      value.boolean = first == 't';
    } else if (!take_word("null")) {
      parse_number(value);
    }
    return value;
  }

  void parse_number(Json& value) {
    char* end = nullptr;
    value.kind = Json::Kind::kNumber;
    value.number = strtod(text_.c_str() + at_, &end);
    const size_t next = static_cast<size_t>(end - text_.c_str());
    if (next == at_) stop("a value was expected");
    at_ = next;
  }

  std::string parse_string() {
    need('"');
    std::string value;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') at_++;
      if (at_ < text_.size()) value += text_[at_++];
    }
    need('"');
    return value;
  }

  void parse_array(Json& value) {
    value.kind = Json::Kind::kArray;
    need('[');
    if (take(']')) return;
    do value.items.push_back(parse_value());
    while (take(','));
    need(']');
  }

  void parse_object(Json& value) {
    value.kind = Json::Kind::kObject;
    need('{');
    if (take('}')) return;
    do {
      skip_space();
      std::string name = parse_string();
      need(':');
      value.members.emplace_back(std::move(name), parse_value());
    } while (take(','));
    need('}');
  }

  const std::string& text_;
  size_t at_ = 0;
};

}  // namespace

const Json& Json::at(const std::string& name) const {
  static const Json nothing;
  for (const auto& member : members) {
    if (member.first == name) return member.second;
  }
  return nothing;
}

std::vector<int64_t> Json::integers() const {
  std::vector<int64_t> numbers;
  for (const Json& item : items) numbers.push_back(static_cast<int64_t>(item.number));
  return numbers;
}

Json parse_json(const std::string& text) { return Parser(text).document(); }

}  // namespace test
}  // namespace tfxf
