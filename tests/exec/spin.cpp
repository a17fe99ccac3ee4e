// SPDX-License-Identifier: MIT
// What the spinning team alone promises; tests/exec/threads.cpp holds what all threads promise.
#include "rwkv7/exec/spin.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "rwkv7/backend/cpu/parallel.hpp"

using rwkv7::index_t;
using rwkv7::spin_executor;

TEST_CASE("a team that fell asleep wakes up and works") {
  using namespace std::chrono_literals;
  spin_executor exec(3, 0us);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(2ms);
    std::atomic<int> waiting = 0;
    exec.bulk(3, [&](index_t) {
      ++waiting;
      while (waiting < 3) std::this_thread::yield();  // holds until all three have come
    });
    CHECK(waiting == 3);
  }
}

TEST_CASE("short calls in quick succession run every task of each call once, in that call") {
  for (const int threads : {2, 3, 8}) {  // also more than the machine has
    CAPTURE(threads);
    spin_executor exec(threads);
    std::vector<index_t> calls(64);  // plain memory: the thread sanitizer watches
    index_t mistakes = 0;
    for (index_t round = 1; round <= 5000; ++round) {
      const index_t n = 2 + round % 13;
      exec.bulk(n, [&](index_t i) { calls[static_cast<std::size_t>(i)] = round; });
      for (index_t i = 0; i < n; ++i) mistakes += calls[static_cast<std::size_t>(i)] != round;
    }
    CHECK(mistakes == 0);
  }
}

TEST_CASE("a team hands out work that is too short for a pool that sleeps") {
  const auto tasks_of = [](auto exec, index_t items, index_t grain) {
    std::atomic<int> tasks = 0;
    rwkv7::backend::cpu::for_ranges(exec, items, grain, 1, [&](index_t, index_t) { ++tasks; });
    return tasks.load();
  };
  CHECK(tasks_of(spin_executor(2), 100, 1000) == 2);
  CHECK(tasks_of(spin_executor(2), 99, 1000) == 1);
  CHECK(tasks_of(spin_executor(2), 1000, 1000) == 4);
}
