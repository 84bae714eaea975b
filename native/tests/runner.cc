// SPDX-License-Identifier: Apache-2.0
/**
 * The runner's main(): reads the command line, runs the tests that match, ends with `N passed, N failed`.
 *
 *   native_tests [--filter TEXT] [--isa NAME] [--seed N] [--rounds N] [--golden FOLDER] [--plain] [--list] [--verbose]
 *
 * A crash is a failure of the test that it happens in, and the next one runs; under a sanitizer it ends the run, with the
 * test's name. Exit code 1 where a test failed or none was found.
 */
#include "tests/runner.h"

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TFXF_SANITIZED 1
extern "C" void __sanitizer_set_death_callback(void (*callback)());
extern "C" __attribute__((visibility("default"))) void __ubsan_on_report();
#endif

namespace tfxf {
namespace test {
namespace {

constexpr int kMostMessages = 6;

struct Test {
  std::string name;
  std::function<void()> body;
};

std::vector<void (*)()>& suites() {
  static std::vector<void (*)()> all;
  return all;
}

Options chosen;
std::vector<Test> tests;
std::vector<std::string> messages;  // of the test that runs
char running[256] = "the start";    // its name, for crashes
char at_work[512] = "";             // what it does, if it says so

#if defined(TFXF_SANITIZED)
void name_the_crash() {
  const char* parts[] = {"\nCRASHED in test: ", running, "\n", at_work, "\n"};
  for (const char* part : parts) {
    if (write(STDERR_FILENO, part, strlen(part)) < 0) return;
  }
}
#endif

sigjmp_buf before_the_test;

void on_signal(int number) { siglongjmp(before_the_test, number); }

/** Takes crashes from here on. */
void watch_crashes() {
#if defined(TFXF_SANITIZED)
  __sanitizer_set_death_callback(name_the_crash);
  (void)on_signal;
#else
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) signal(number, on_signal);
#endif
}

[[noreturn]] void usage(const char* what) {
  fprintf(stderr,
          "%s\nusage: native_tests [--filter TEXT] [--isa NAME] [--seed N] [--rounds N] "
          "[--golden FOLDER] [--plain] [--list] [--verbose]\n",
          what);
  exit(2);
}

void read_options(int count, char** arguments) {
  chosen.golden = TFXF_GOLDEN_DIR;
  for (int at = 1; at < count; at++) {
    const std::string name = arguments[at];
    if (name == "--list") {
      chosen.list = true;
    } else if (name == "--verbose") {
      chosen.verbose = true;
    } else if (name == "--plain") {
      chosen.plain = true;
    } else if (at + 1 == count) {
      usage(("unknown option, or one without its value: " + name).c_str());
    } else if (name == "--filter") {
      chosen.filter = arguments[++at];
    } else if (name == "--isa") {
      chosen.isa = arguments[++at];
    } else if (name == "--golden") {
      chosen.golden = arguments[++at];
    } else if (name == "--seed") {
      chosen.seed = static_cast<uint32_t>(strtoul(arguments[++at], nullptr, 10));
    } else if (name == "--rounds") {
      chosen.rounds = atoi(arguments[++at]);
    } else {
      usage(("unknown option: " + name).c_str());
    }
  }
}

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/** Whether it passed. */
bool run_test(const Test& test) {
  messages.clear();
  snprintf(running, sizeof running, "%s", test.name.c_str());
  at_work[0] = 0;
  if (chosen.verbose) {
    printf("RUN  %s\n", test.name.c_str());
    fflush(stdout);
  }
  const double start = now();
  const int crash = sigsetjmp(before_the_test, 1);
  if (crash == 0) {
    test.body();
  } else {
    fail(format("CRASHED with signal %d (%s) in %s", crash, strsignal(crash), at_work));
  }
  const double took = now() - start;
  if (took > 2.0 || chosen.verbose) printf("     %s: %.2f s\n", test.name.c_str(), took);
  if (messages.empty()) return true;
  printf("FAIL %s\n", test.name.c_str());
  for (size_t n = 0; n < messages.size() && n < kMostMessages; n++) {
    printf("     %s\n", messages[n].c_str());
  }
  if (messages.size() > kMostMessages) printf("     … %zu failures\n", messages.size());
  fflush(stdout);
  return false;
}

int run_all() {
  int passed = 0, failed = 0;
  for (const Test& test : tests) {
    if (test.name.find(chosen.filter) == std::string::npos) continue;
    if (chosen.list) {
      printf("%s\n", test.name.c_str());
      continue;
    }
    (run_test(test) ? passed : failed)++;
  }
  if (chosen.list) return 0;
  printf("%d passed, %d failed\n", passed, failed);
  if (passed + failed == 0) fprintf(stderr, "no test matches '%s'\n", chosen.filter.c_str());
  return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace

#if defined(TFXF_SANITIZED)
/** Called by UndefinedBehaviorSanitizer, whose end of the program goes by the callback. */
extern "C" void __ubsan_on_report() { name_the_crash(); }
#endif

const Options& options() { return chosen; }

void add_test(const std::string& name, std::function<void()> body) {
  tests.push_back({name, std::move(body)});
}

void fail(const std::string& message) { messages.push_back(message); }

void doing(const std::string& what) { snprintf(at_work, sizeof at_work, "%s", what.c_str()); }

std::string format(const char* pattern, ...) {
  char text[2048];
  va_list arguments;
  va_start(arguments, pattern);
  vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

int rounds_or(int standard) { return chosen.rounds > 0 ? chosen.rounds : standard; }

Registration::Registration(void (*suite)()) { suites().push_back(suite); }

}  // namespace test
}  // namespace tfxf

int main(int count, char** arguments) {
  using namespace tfxf::test;
  read_options(count, arguments);
  watch_crashes();
  for (void (*suite)() : suites()) suite();
  return run_all();
}
