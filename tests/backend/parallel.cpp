// SPDX-License-Identifier: MIT
#include "rwkv7/backend/cpu/parallel.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "rwkv7/core/arch.hpp"

namespace cpu = rwkv7::backend::cpu;
using rwkv7::index_t;

namespace {

/// Claims any number of threads and writes down what it is asked to do.
struct planner {
  using backend_tag = cpu::tag<rwkv7::native_arch>;
  index_t threads;
  std::vector<index_t> asked{};

  index_t concurrency() const { return threads; }
  template <class F>
  void bulk(index_t n, F&& f) {
    asked.push_back(n);
    for (index_t i = 0; i < n; ++i) f(i);
  }
};

using ranges = std::vector<std::pair<index_t, index_t>>;

ranges split(planner& exec, index_t n, index_t grain, index_t step) {
  ranges r;
  cpu::for_ranges(exec, n, grain, step, [&](index_t begin, index_t end) { r.emplace_back(begin, end); });
  return r;
}

}  // namespace

TEST_CASE("ranges cover everything once, in order, and begin at multiples of the step") {
  for (const index_t threads : {1, 2, 3, 5, 64})
    for (const index_t n : {1, 2, 15, 16, 17, 100, 1000, 1001})
      for (const index_t grain : {1, 7, 64, 5000})
        for (const index_t step : {1, 8, 16, 48}) {
          CAPTURE(threads);
          CAPTURE(n);
          CAPTURE(grain);
          CAPTURE(step);
          planner exec{threads};
          const auto r = split(exec, n, grain, step);
          REQUIRE(!r.empty());
          CHECK(r.front().first == 0);
          CHECK(r.back().second == n);
          for (std::size_t i = 0; i < r.size(); ++i) {
            CHECK(r[i].first < r[i].second);
            CHECK(r[i].first % step == 0);
            if (i > 0) CHECK(r[i].first == r[i - 1].second);
          }
        }
}

TEST_CASE("no range is shorter than the grain unless it is the only one") {
  for (const index_t threads : {2, 3, 5, 64})
    for (const index_t n : {1, 17, 100, 1001})
      for (const index_t grain : {1, 7, 64}) {
        planner exec{threads};
        const auto r = split(exec, n, grain, 1);
        for (const auto& [begin, end] : r) CHECK((end - begin >= grain || r.size() == 1));
      }
}

TEST_CASE("an executor may say that handing out tasks costs nothing: every item is worth a range") {
  struct free_planner : planner {
    static constexpr index_t fork_cost() { return 0; }
  } exec{{4}};
  int ranges = 0;
  cpu::for_ranges(exec, 8, 5000, 1, [&](index_t, index_t) { ++ranges; });
  CHECK(ranges == 8);
}

TEST_CASE("nothing to do calls nothing, little to do is done on the calling thread") {
  planner exec{4};
  CHECK(split(exec, 0, 1, 1).empty());
  CHECK(split(exec, -3, 1, 1).empty());
  CHECK(split(exec, 63, 32, 1) == ranges{{0, 63}});
  CHECK(exec.asked.empty());
  CHECK(split(exec, 64, 32, 1) == ranges{{0, 32}, {32, 64}});
  CHECK(exec.asked == std::vector<index_t>{2});
}

TEST_CASE("a single thread gets a single range, several get two each at most") {
  planner one{1}, four{4};
  CHECK(split(one, 1000000, 1, 1).size() == 1);
  CHECK(one.asked.empty());
  CHECK(split(four, 1000000, 1, 1).size() == 8);
  CHECK(four.asked == std::vector<index_t>{8});
}

TEST_CASE("rows are counted over B and T") {
  planner exec{3};
  std::vector<int> seen(5 * 7);
  cpu::for_rows(exec, 5, 7, 2, [&](index_t b, index_t t) {
    REQUIRE((0 <= b && b < 5));
    REQUIRE((0 <= t && t < 7));
    ++seen[static_cast<std::size_t>(b * 7 + t)];
  });
  CHECK(seen == std::vector<int>(5 * 7, 1));
  CHECK(exec.asked.size() == 1);
  cpu::for_rows(exec, 5, 0, 2, [&](index_t, index_t) { CHECK(false); });
}

TEST_CASE("the grain of a row of any width is at least one row") {
  CHECK(cpu::row_grain(0) >= 1);
  CHECK(cpu::row_grain(1) > 1000);
  CHECK(cpu::row_grain(1 << 30) == 1);
}
