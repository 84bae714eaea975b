// SPDX-License-Identifier: Apache-2.0
/**
 * A small test runner. Tests register themselves: TFXF_TEST makes one, TFXF_SUITE a function that adds any
 * number of them by name (one for each golden case, one for each seed). A test fails by calling fail(), any
 * number of times; it goes on after that, so that one run shows all that is wrong.
 */
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tfxf {
namespace test {

/** What the command line chose. */
struct Options {
  std::string filter;           // of test names: a part of them
  std::string isa;              // one table, or empty: all
  std::string golden;           // folder of the golden files
  uint32_t seed = 20240;        // of the first fuzz round
  int rounds = 0;               // of each fuzz suite; 0: its own number
  bool plain = false;           // attention problems are drawn with DrawOptions::plain
  bool list = false, verbose = false;
};
const Options& options();

/** Adds a test; suites call it. */
void add_test(const std::string& name, std::function<void()> body);

/** Reports a failure of the test that runs. */
void fail(const std::string& message);

/** Says what the test is at: a crash names it. */
void doing(const std::string& what);

/** printf into a string. */
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

/** Rounds that a fuzz suite runs: its own number, or --rounds. */
int rounds_or(int standard);

/** Registers a function that adds tests. */
struct Registration {
  explicit Registration(void (*suite)());
};

}  // namespace test
}  // namespace tfxf

#define TFXF_SUITE(name)                                        \
  static void suite_##name();                                   \
  static const ::tfxf::test::Registration registration_##name(suite_##name); \
  static void suite_##name()

#define TFXF_TEST(name, title)                                           \
  static void test_##name();                                             \
  TFXF_SUITE(name) { ::tfxf::test::add_test(title, test_##name); }       \
  static void test_##name()

/** Fails, with the condition in the message, and goes on. */
#define TFXF_CHECK(condition)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      ::tfxf::test::fail(::tfxf::test::format("%s:%d: not so: %s", __FILE__, __LINE__, #condition)); \
    }                                                                                     \
  } while (false)
