// SPDX-License-Identifier: MIT
/// Rows of the benchmark. Each shows, beside Google Benchmark's own time: tokens/s, flop/s and bytes/s, the ratio to
/// named rivals timed in turn with ours in the same process, and the error of both sides against double.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rwkv7/core/config.hpp"

namespace rwkv7_bench {

using rwkv7::index_t;

namespace detail {

inline std::uint64_t noise_seed;

/// Memory that begins with a cache line, as language_model::pack lays it out and as the rivals allocate theirs.
template <class T>
struct cache_aligned {
  using value_type = T;
  cache_aligned() = default;
  template <class U>
  cache_aligned(const cache_aligned<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{64}); }
  friend bool operator==(cache_aligned, cache_aligned) { return true; }
};

}  // namespace detail

template <class T>
using buffer = std::vector<T, detail::cache_aligned<T>>;

/// Unit-scale values, the same in every run of a row.
inline buffer<float> noise(index_t n, float scale = 1.0f, float offset = 0.0f) {
  buffer<float> v(static_cast<std::size_t>(n));
  for (auto& x : v) {
    detail::noise_seed = detail::noise_seed * 6364136223846793005u + 1442695040888963407u;
    x = offset + scale * (static_cast<float>(detail::noise_seed >> 40) * 0x1p-23f - 1.0f);
  }
  return v;
}

/// max |x - y| / max |y|; NaN where either holds one.
template <class T, class U>
double max_err(const buffer<T>& x, const buffer<U>& y) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double apart = std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i]));
    if (apart > difference || std::isnan(apart)) difference = apart;  // a NaN stays: nothing is larger
    largest = std::max(largest, std::abs(static_cast<double>(y[i])));
  }
  return difference / largest;
}

/// Somebody else's code for the same thing.
struct rival {
  std::string name;
  std::function<void()> run;
  std::function<double()> error;
  std::function<void()> rest{};  // after its turn: stops threads that would spin through ours
};

/// What a row measures.
struct subject {
  double tokens, flops, bytes;  // per run
  std::function<void()> run;
  std::function<double()> error;
  std::vector<rival> rivals{};
  std::function<double()> max_logit_diff{};  // between ours and the last rival, once both errors have been taken
};

inline double seconds(const std::function<void()>& f, int repetitions) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repetitions;
}

struct quartiles {
  double low, median, high;
};

/// Time of the rival over ours: eleven pairs, each side first in turn, at least two milliseconds a sample after an
/// eighth as many runs that are not timed (they wake threads, outlast those of the other side, and bring back what it
/// drove out of the caches). Where a run takes a quarter of a second, five pairs, and every run counts.
inline quartiles paired_ratio(const std::function<void()>& ours, const rival& theirs) {
  const auto repetitions = [](const std::function<void()>& f) {
    return 1 + static_cast<int>(std::min(2e-3 / std::max(seconds(f, 1), 1e-9), 1e5));
  };
  const auto rest = [&](bool our_turn) {
    if (our_turn)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // spin_executor's threads spin for half of that
    else if (theirs.rest)
      theirs.rest();
  };
  const int m = repetitions(theirs.run);
  rest(false);
  const int n = repetitions(ours);
  rest(true);
  const bool slow = seconds(ours, 1) > 0.25;
  std::vector<double> ratios(slow ? 5 : 11);
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    double mine = 0, other = 0;
    for (const bool our_turn : {i % 2 == 0, i % 2 != 0}) {
      const auto& f = our_turn ? ours : theirs.run;
      const int repeat = our_turn ? n : m;
      if (!slow) seconds(f, 1 + repeat / 8);
      (our_turn ? mine : other) = seconds(f, repeat);
      rest(our_turn);
    }
    ratios[i] = other / mine;
  }
  std::sort(ratios.begin(), ratios.end());
  const std::size_t n_ratios = ratios.size();
  return {ratios[n_ratios / 4], ratios[n_ratios / 2], ratios[n_ratios - 1 - n_ratios / 4]};
}

/// A row whose turn it is.
struct measured {
  std::string name;
  subject s;
  std::vector<std::pair<std::string, double>> columns{};
};
inline std::unique_ptr<measured>& current_row() {
  static std::unique_ptr<measured> row;
  return row;
}
inline void remove_rows() {
  current_row().reset();
  benchmark::ClearRegisteredBenchmarks();
}

/// A row. `make` is called when it is the row's turn, and what it made is freed when the next row begins: the rows of a
/// whole run do not fit into memory together.
inline void add(const std::string& name, std::function<subject()> make) {
  benchmark::RegisterBenchmark(name.c_str(), [name, make](benchmark::State& state) {
    auto& current = current_row();  // Google Benchmark calls a row several times
    if (!current || current->name != name) {
      current.reset();
      detail::noise_seed = 1;
      auto row = std::make_unique<measured>(measured{name, make()});
      const subject& s = row->s;
      const auto column = [&](const std::string& what, double value) { row->columns.emplace_back(what, value); };
      s.run();
      column("max_err", s.error());
      for (const auto& r : s.rivals) {
        r.run();
        column(r.name + "_err", r.error());
        const auto ratio = paired_ratio(s.run, r);
        column("x_" + r.name, ratio.median);
        column("x_" + r.name + "_low", ratio.low);
        column("x_" + r.name + "_high", ratio.high);
      }
      if (s.max_logit_diff) column("max_logit_diff", s.max_logit_diff());
      current = std::move(row);
    }
    for (auto _ : state) current->s.run();
    const auto rate = [&](double each) {
      return benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate);
    };
    for (const auto& [what, value] : current->columns) state.counters[what] = value;
    state.counters["tokens/s"] = rate(current->s.tokens);
    state.counters["flop/s"] = rate(current->s.flops);
    state.counters["bytes/s"] = rate(current->s.bytes);
  })->UseRealTime();
}

}  // namespace rwkv7_bench
