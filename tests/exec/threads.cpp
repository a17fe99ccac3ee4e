// SPDX-License-Identifier: MIT
// Both executors that start threads.
#include "rwkv7/exec/threads.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/spin.hpp"

using rwkv7::index_t;
using rwkv7::spin_executor;
using rwkv7::thread_executor;

namespace {

class counts {
 public:
  explicit counts(index_t n) : calls_(static_cast<std::size_t>(n)) {}
  void operator()(index_t i) { ++calls_[static_cast<std::size_t>(i)]; }
  bool all(int times) const {
    return std::all_of(calls_.begin(), calls_.end(), [=](const auto& c) { return c == times; });
  }

 private:
  std::vector<std::atomic<int>> calls_;
};

}  // namespace

TEST_CASE_TEMPLATE("every index is called exactly once, for any number of threads and tasks", executor, thread_executor,
                   spin_executor) {
  for (int threads = 1; threads <= 5; ++threads) {
    executor exec(threads);
    CHECK(exec.concurrency() == threads);
    for (const index_t n : {0, 1, 2, 3, 1000})
      for (int repeat = 0; repeat < 20; ++repeat) {
        CAPTURE(threads);
        CAPTURE(n);
        counts calls(n);
        exec.bulk(n, [&](index_t i) { calls(i); });
        CHECK(calls.all(1));
      }
  }
}

TEST_CASE_TEMPLATE("fewer than one thread is one: the calling one", executor, thread_executor, spin_executor) {
  for (const int threads : {-3, 0, 1}) {
    executor exec(threads);
    CHECK(exec.concurrency() == 1);
    const auto here = std::this_thread::get_id();
    bool elsewhere = false;
    exec.bulk(10, [&](index_t) { elsewhere = elsewhere || std::this_thread::get_id() != here; });
    CHECK(!elsewhere);
  }
}

TEST_CASE_TEMPLATE("the calling thread and all workers take part", executor, thread_executor, spin_executor) {
  executor exec(3);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<int> waiting = 0;
  exec.bulk(3, [&](index_t) {
    ++waiting;
    while (waiting < 3) std::this_thread::yield();  // each task holds its thread until all three are running
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  CHECK(seen.size() == 3);
  CHECK(seen.count(std::this_thread::get_id()) == 1);
}

TEST_CASE_TEMPLATE("what tasks wrote is seen by the caller when bulk returns", executor, thread_executor,
                   spin_executor) {
  executor exec(4);
  std::vector<index_t> written(1000);  // plain memory: the thread sanitizer watches
  for (index_t round = 1; round <= 50; ++round) {
    exec.bulk(1000, [&](index_t i) { written[static_cast<std::size_t>(i)] += round; });
    CHECK(std::all_of(written.begin(), written.end(), [&](index_t x) { return x == round * (round + 1) / 2; }));
  }
}

TEST_CASE("a borrowed pool runs the tasks and is left running") {
  Eigen::ThreadPool pool(2);
  {
    thread_executor exec(pool);
    CHECK(exec.concurrency() == 3);
    counts calls(1000);
    exec.bulk(1000, [&](index_t i) { calls(i); });
    CHECK(calls.all(1));
  }
  Eigen::Barrier done(1);
  pool.Schedule([&] { done.Notify(); });
  done.Wait();
  CHECK(pool.NumThreads() == 2);
}

TEST_CASE_TEMPLATE("bulk inside a task does not deadlock, on the calling thread or on a worker", executor,
                   thread_executor, spin_executor) {
  for (int threads = 1; threads <= 5; ++threads) {
    CAPTURE(threads);
    executor exec(threads);
    counts inner(50);
    exec.bulk(20, [&](index_t) { exec.bulk(5, [&](index_t) { exec.bulk(50, [&](index_t i) { inner(i); }); }); });
    CHECK(inner.all(100));
  }
}

TEST_CASE("bulk from a thread of the borrowed pool runs inline and does not deadlock") {
  Eigen::ThreadPool pool(1);
  thread_executor exec(pool);
  counts calls(100);
  Eigen::Barrier done(1);
  pool.Schedule([&] {
    exec.bulk(100, [&](index_t i) { calls(i); });
    done.Notify();
  });
  done.Wait();
  CHECK(calls.all(1));
}

TEST_CASE_TEMPLATE("several threads of the program may use one executor at once", executor, thread_executor,
                   spin_executor) {
  executor exec(3);
  constexpr int users = 4;
  constexpr index_t tasks = 300;
  std::vector<counts> calls;
  calls.reserve(users);
  for (int u = 0; u < users; ++u) calls.emplace_back(tasks);
  std::vector<std::thread> program;
  for (int u = 0; u < users; ++u)
    program.emplace_back([&, u] {
      for (int round = 0; round < 20; ++round)
        exec.bulk(tasks, [&](index_t i) { calls[static_cast<std::size_t>(u)](i); });
    });
  for (auto& t : program) t.join();
  for (const auto& c : calls) CHECK(c.all(20));
}

TEST_CASE_TEMPLATE("an executor that was never used, and one that was, can be destroyed at once", executor,
                   thread_executor, spin_executor) {
  for (int i = 0; i < 50; ++i) {
    executor unused(3), used(3);
    used.bulk(2, [](index_t) {});
  }
  CHECK(true);
}
