// SPDX-License-Identifier: MIT
#include "rwkv7/exec/bulk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "rwkv7/exec/inline.hpp"
#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/linear.hpp"
#include "support/compare.hpp"
#include "support/pattern.hpp"
#include "support/thread_team.hpp"

using rwkv7::bulk_executor;
using rwkv7::index_t;
using rwkv7::view;
using rwkv7_test::thread_team;

TEST_CASE("bulk hands every index to the user's pool once") {
  thread_team team(3);
  bulk_executor exec(4, [&](index_t n, auto& task) { team.parallel_for(n, std::ref(task)); });
  CHECK(exec.concurrency() == 4);
  for (const index_t n : {0, 1, 2, 1000}) {
    CAPTURE(n);
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(n));
    exec.bulk(n, [&](index_t i) { ++calls[static_cast<std::size_t>(i)]; });
    CHECK(std::all_of(calls.begin(), calls.end(), [](const auto& c) { return c == 1; }));
  }
}

TEST_CASE("a single task, or none, does not bother the user's pool") {
  int runs = 0;
  bulk_executor exec(4, [&](index_t n, auto& task) {
    ++runs;
    for (index_t i = 0; i < n; ++i) task(i);
  });
  int calls = 0;
  exec.bulk(0, [&](index_t) { ++calls; });
  exec.bulk(1, [&](index_t) { ++calls; });
  CHECK(runs == 0);
  CHECK(calls == 1);
  exec.bulk(2, [&](index_t) { ++calls; });
  CHECK(runs == 1);
  CHECK(calls == 3);
}

TEST_CASE("the task may be passed on as a std::function, in any order, from a thread of its own each") {
  bulk_executor exec(2, [](index_t n, auto& task) {
    const std::function<void(index_t)> f = std::ref(task);
    std::vector<std::thread> threads;
    for (index_t i = n; i-- > 0;) threads.emplace_back(f, i);
    for (auto& t : threads) t.join();
  });
  std::atomic<index_t> sum = 0;
  exec.bulk(10, [&](index_t i) { sum += i; });
  CHECK(sum == 45);
}

TEST_CASE("operations on the user's pool give the bits of the inline executor") {
  const index_t B = 2, T = 301, C = 96, out = 200;
  const auto x = rwkv7_test::pattern("x", B * T * C, 0, 1), w = rwkv7_test::pattern("w", out * C, 0, 1);
  const view<const float, 3> in(x.data(), {B, T, C});
  const rwkv7::weights<1> scale = view<const float, 1>(w.data(), {C}), bias = view<const float, 1>(w.data() + C, {C});
  const auto run = [&](auto& exec) {
    std::vector<float> normed(x.size()), y(static_cast<std::size_t>(B * T * out));
    const view<float, 3> z(normed.data(), {B, T, C});
    rwkv7::layer_norm(exec, rwkv7::layer_norm_inputs<float>{.x = in, .weight = scale, .bias = bias}, z);
    rwkv7::linear(exec, rwkv7::linear_inputs<float>{.x = z, .weight = view<const float, 2>(w.data(), {out, C})},
                  view<float, 3>(y.data(), {B, T, out}));
    return y;
  };
  rwkv7::inline_executor one;
  const auto want = run(one);
  thread_team team(3);
  for (const index_t concurrency : {1, 2, 3, 4, 7, 64}) {
    CAPTURE(concurrency);
    int runs = 0;
    bulk_executor exec(concurrency, [&](index_t n, auto& task) {
      ++runs;
      team.parallel_for(n, std::ref(task));
    });
    CHECK(rwkv7_test::same_bits(run(exec), want));
    CHECK((runs > 0) == (concurrency > 1));  // else the pool was not put to the test
  }
}
