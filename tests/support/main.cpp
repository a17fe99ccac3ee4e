// SPDX-License-Identifier: MIT
// The main function of every test executable: that of doctest, with a third exit status for "nothing was tested".
#define DOCTEST_CONFIG_IMPLEMENT
#include "support/skip.hpp"

#include <doctest/doctest.h>

namespace {

int assertions = 0;

// doctest gives the number of assertions to its reporters only.
struct count_assertions : doctest::IReporter {
  explicit count_assertions(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& all) override { assertions = all.numAsserts; }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("count_assertions", 1, count_assertions);

}  // namespace

int main(int argc, char** argv) {
  const int failed = doctest::Context(argc, argv).run();
  if (failed == 0 && assertions == 0 && rwkv7_test::skipped) return 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt
  return failed;
}
