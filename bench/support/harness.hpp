// SPDX-License-Identifier: MIT
/// Rows of the benchmark. Each shows, beside Google Benchmark's own time: tokens/s, flop/s and bytes/s, the ratio to a
/// named rival timed in turn with ours in the same process, and the error of both against the reference executor.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rwkv7/core/config.hpp"

namespace rwkv7_bench {

using rwkv7::index_t;

/// Unit-scale values, the same in every run.
inline std::vector<float> noise(index_t n, float scale = 1.0f, float offset = 0.0f) {
  static std::uint64_t seed = 1;
  std::vector<float> v(static_cast<std::size_t>(n));
  for (auto& x : v) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    x = offset + scale * (static_cast<float>(seed >> 40) * 0x1p-23f - 1.0f);
  }
  return v;
}

/// max |x - y| / max |y|.
template <class T, class U>
double max_err(const std::vector<T>& x, const std::vector<U>& y) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    largest = std::max(largest, std::abs(static_cast<double>(y[i])));
  }
  return difference / largest;
}

struct rival {
  std::string name;
  std::function<void()> run;
  std::function<double()> error;
};

struct subject {
  std::string name;
  double tokens, flops, bytes;  // per run
  std::function<void()> run;
  std::function<double()> error;
  std::vector<rival> rivals{};
};

inline double seconds(const std::function<void()>& f, int repetitions) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repetitions;
}

/// Time of the rival over ours: both in turn, at least a millisecond a sample, the median of nine pairs.
inline double paired_ratio(const std::function<void()>& ours, const std::function<void()>& theirs) {
  const auto repetitions = [](const std::function<void()>& f) {
    return 1 + static_cast<int>(std::min(1e-3 / std::max(seconds(f, 1), 1e-9), 1e5));
  };
  const int n = repetitions(ours), m = repetitions(theirs);
  std::vector<double> ratios;
  for (int i = 0; i < 9; ++i) {
    const double mine = seconds(ours, n);
    ratios.push_back(seconds(theirs, m) / mine);
  }
  std::nth_element(ratios.begin(), ratios.begin() + 4, ratios.end());
  return ratios[4];
}

inline void add(subject s) {
  benchmark::RegisterBenchmark(s.name.c_str(), [s](benchmark::State& state) {
    s.run();
    state.counters["max_err"] = s.error();
    for (const auto& r : s.rivals) {
      r.run();
      state.counters[r.name + "_err"] = r.error();
      state.counters["x_" + r.name] = paired_ratio(s.run, r.run);
    }
    for (auto _ : state) s.run();
    const auto rate = [](double each) {
      return benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate);
    };
    state.counters["tokens/s"] = rate(s.tokens);
    state.counters["flop/s"] = rate(s.flops);
    state.counters["bytes/s"] = rate(s.bytes);
  })->UseRealTime();
}

}  // namespace rwkv7_bench
