// SPDX-License-Identifier: MIT
/// Every executor the tests run: each kind, with some numbers of threads, and every instruction set this machine has.
#pragma once

#include <doctest/doctest.h>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "rwkv7/exec/bulk.hpp"
#include "rwkv7/exec/dispatch.hpp"
#include "rwkv7/exec/inline.hpp"
#include "rwkv7/exec/reference.hpp"
#include "rwkv7/exec/spin.hpp"
#include "rwkv7/exec/threads.hpp"

namespace rwkv7_test {

using rwkv7::index_t;

/// A caller's own pool at its plainest: new threads for every call, tasks in whatever order they come.
struct plain_threads {
  int threads;
  template <class Task>
  void operator()(index_t n, Task& task) const {
    std::atomic<index_t> next{0};
    std::vector<std::thread> team;
    for (int i = 0; i < threads; ++i)
      team.emplace_back([&] {
        for (index_t at; (at = next.fetch_add(1)) < n;) task(at);
      });
    for (auto& member : team) member.join();
  }
};

/// Somebody's threads, in one type: with it and kernels that are compiled elsewhere, a test compiles an operation once
/// for all executors of the cpu back end.
class any_threads {
 public:
  using backend_tag = rwkv7::inline_executor::backend_tag;

  template <class Exec>
  explicit any_threads(Exec& exec)
      : run_([&exec](index_t n, const std::function<void(index_t)>& f) { exec.bulk(n, f); }),
        concurrency_(exec.concurrency()),
        fork_cost_(rwkv7::fork_cost_of(exec)) {}
  index_t concurrency() const noexcept { return concurrency_; }
  index_t fork_cost() const noexcept { return fork_cost_; }
  template <class F>
  void bulk(index_t n, F&& f) const {
    run_(n, std::ref(f));
  }

 private:
  std::function<void(index_t, const std::function<void(index_t)>&)> run_;
  index_t concurrency_, fork_cost_;
};

/// Any kernels that this machine can use, on anybody's threads. exec/dispatch.cpp holds the kernels of each instruction
/// set to the bits of those that a program compiles itself.
using any_cpu_executor = rwkv7::dispatch_executor<any_threads>;

/// The best kernels on the calling thread: with other numbers of threads, results must not differ by a bit from these.
inline any_cpu_executor one_thread() {
  static rwkv7::inline_executor alone;
  return any_cpu_executor(any_threads{alone});
}

/// f(exec) for every number of threads, all of the same kernels.
template <class F>
void for_each_threading(F&& f) {
  const auto on = [&](auto&& threads) {
    any_cpu_executor exec(any_threads{threads});
    f(exec);
  };
  for (const int threads : {1, 2, 3, 5}) {
    INFO("thread_executor of ", threads);
    on(rwkv7::thread_executor(threads));
  }
  for (const int threads : {2, 3}) {
    INFO("spin_executor of ", threads);
    on(rwkv7::spin_executor(threads));
  }
  INFO("bulk_executor");
  on(rwkv7::bulk_executor(3, plain_threads{3}));
}

/// f(exec) for every instruction set this machine has, the best of them last.
template <class F>
void for_each_arch(F&& f) {
  rwkv7::inline_executor alone;
  for (const auto& unit : rwkv7::dispatch_units()) {
    if (!unit.usable) continue;
    INFO("instruction set ", std::string(unit.name));
    any_cpu_executor exec(any_threads{alone}, unit.name);
    f(exec);
  }
}

/// f(exec) for every executor that computes in float on SIMD kernels.
template <class F>
void for_each_cpu_executor(F&& f) {
  for_each_arch(f);
  for_each_threading(f);
}

/// f(exec, zero) for one executor of each kind, for what does not depend on the instruction set.
template <class F>
void for_each_kind(F&& f) {
  rwkv7::reference_executor reference;
  auto alone = one_thread();
  rwkv7::thread_executor team(3);
  any_cpu_executor threads(any_threads{team});
  {
    INFO("reference_executor in double");
    f(reference, 0.0);
  }
  {
    INFO("one thread");
    f(alone, 0.0f);
  }
  INFO("thread_executor of 3");
  f(threads, 0.0f);
}

/// f(exec, zero) for every executor and every type it computes in, given by a zero of that type.
template <class F>
void for_each_executor(F&& f) {
  rwkv7::reference_executor reference;
  {
    INFO("reference_executor in double");
    f(reference, 0.0);
  }
  {
    INFO("reference_executor in float");
    f(reference, 0.0f);
  }
  for_each_cpu_executor([&](auto& exec) { f(exec, 0.0f); });
}

}  // namespace rwkv7_test
