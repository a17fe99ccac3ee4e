// SPDX-License-Identifier: MIT
/// Rows that show what the machine can do at most, beside which the others are to be read.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <thread>

#include "rwkv7/core/config.hpp"
#include "rwkv7/exec/spin.hpp"

namespace rwkv7_bench {

using rwkv7::index_t;

/// 1, and as many threads as the machine has.
template <class F>
void for_thread_counts(F&& f) {
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  f(1);
  if (all > 1) f(all);
}

/// A row `machine/name`: task(i) on every thread i at once, `each` flops or bytes per task.
template <class Make>
void add_limit(const std::string& name, const char* unit, double each, int threads, Make make) {
  benchmark::RegisterBenchmark(("machine/" + name + "/threads:" + std::to_string(threads)).c_str(),
                               [=](benchmark::State& state) {
                                 rwkv7::spin_executor exec(threads);
                                 auto task = make(threads);
                                 for (auto _ : state) exec.bulk(threads, [&](index_t i) { task(i); });
                                 state.counters[unit] =
                                     benchmark::Counter(each * threads, benchmark::Counter::kIsIterationInvariantRate);
                               })
      ->UseRealTime();
}

}  // namespace rwkv7_bench
