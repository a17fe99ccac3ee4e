// SPDX-License-Identifier: MIT
// The examples without options: each checks itself, and prints what a reader can check.
#include <doctest/doctest.h>

#include "support/program.hpp"

using rwkv7_test::outcome;
using rwkv7_test::run_example;

namespace {

outcome succeeds(const std::string& name) {
  auto run = run_example(name);
  CHECK(run.status == 0);
  CHECK(run.err == "");
  return run;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("one head") { CHECK(succeeds("01_one_head").out == "y = 1 2 3, half of what was written\n"); }

TEST_CASE("spans and mistakes") {
  CHECK(succeeds("02_spans_and_mistakes").out ==
        "rwkv7::as_view: memory: got 640 elements, want 2560\n"
        "rwkv7::wkv7: y axis H: got 16, want 4\n"
        "rwkv7::wkv7: y overlaps r\n"
        "y is untouched\n");
}

TEST_CASE("your thread pool") {
  CHECK(succeeds("03_your_thread_pool").out ==
        "4 threads of my own and 1 thread: the results are equal to the last bit\n");
}

TEST_CASE("a time-mix layer") {
  CHECK(contains(succeeds("04_time_mix_layer").out, "\nafter rolling back: equal to the last bit\n"));
}

TEST_CASE("Eigen") { CHECK(contains(succeeds("05_eigen").out, "wkv7 and Eigen differ by ")); }

TEST_CASE("states") {
  CHECK(succeeds("06_states").out ==
        "loaded and carried on by three threads, the text is the same: yes\n"
        "loaded and carried on in double, the text is the same: yes\n"
        "of 5 drafted tokens 2 are right, 3 are taken back\n"
        "after that the text goes on as if they had never been: yes\n");
}

TEST_CASE("a resident state") {
  CHECK(succeeds("07_resident_state").out ==
        "80 tokens on a resident state: the same as on rows\n"
        "the branch: equal to the last bit\n");
}

TEST_CASE("a variant of one's own, in the place of attention") {
  CHECK(succeeds("08_variant").out ==
        "my variant differs from cxa079: yes, and is cxa079 without its bonus: yes\n"
        "continued after 32 tokens, at position 1032: equal to the last bit\n");
}

TEST_CASE("quickstart recalls everything with the delta rule and less without") {
  const auto out = succeeds("quickstart").out;
  const auto with = out.find("\n  24 of 24 capitals come back\n");
  const auto without = out.find("capitals come back\n", with + 30);
  CHECK(with != out.npos);
  CHECK(without != out.npos);
  CHECK(std::stoi(out.substr(out.rfind('\n', without))) < 24);
  CHECK(contains(out, " microseconds per token written "));
}

TEST_CASE("a hybrid model, and what its states take") {
  const auto out = succeeds("09_hybrid_model").out;
  CHECK(
      out.starts_with("44 layers, 6 of them attention: token by token as in one call: yes\n"
                      "a copied state goes on the same: yes\n"));
  CHECK(contains(out, "  1048576 tokens                38744         104                141734\n"));
}
