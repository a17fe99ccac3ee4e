// SPDX-License-Identifier: MIT
/// What every operation promises that computes each token from that token alone.
///
/// A test gives `run(exec, problem, zero)`, which makes the operands from their names, calls the operation in the
/// pieces the problem asks for, and returns its outputs in the type of `zero`.
#pragma once

#include <doctest/doctest.h>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/budget.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/random.hpp"

namespace rwkv7_test {

/// Where the loops over registers of 4, 8 and 16 floats change course.
inline constexpr index_t widths[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128};
inline constexpr index_t lengths[] = {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65};

struct problem {
  index_t B = 2, T = 3, H = 1, H_kv = 1, N = 16;
  index_t out = 1, rank = 1;  // of matrices
  layout how = layout::dense;
  rwkv7::dtype type = rwkv7::dtype::f32;  // of the parameters
  bool in_place = false;
  index_t tokens_per_call = 0;              // 0: all
  index_t batch_per_call = 0;               // 0: all
  index_t nan_sequence = -1;                // all operands of this sequence are NaN
  rwkv7::dtype values = rwkv7::dtype::f32;  // the operands hold what this type can hold, whatever theirs is

  index_t channels() const { return H * N; }
  std::string text() const {
    return "B " + std::to_string(B) + ", T " + std::to_string(T) + ", H " + std::to_string(H) + ", H_kv " +
           std::to_string(H_kv) + ", N " + std::to_string(N) + ", out " + std::to_string(out) + ", rank " +
           std::to_string(rank) + ", " + name_of(how) + ", " + rwkv7::name_of(type);
  }
  /// Uniform values, with this problem's NaN.
  template <class T_, int Rank>
  void fill(tensor<T_, Rank>& x, std::string_view name, float offset = 0, float scale = unit_scale) const {
    rwkv7_test::fill(x, name, offset, scale);
    round(x);
    if (nan_sequence < 0) return;
    const index_t items = x.size() / B;
    for (index_t i = 0; i < items; ++i) x[nan_sequence * items + i] = poison<T_>();
  }
  template <class T_, int Rank>
  void round(tensor<T_, Rank>& x) const {
    if (values != rwkv7::dtype::f32)
      x.generate([&](index_t i) { return element<T_>(rounded_to(values, static_cast<float>(x[i]))); });
  }
};

/// Some tokens of some sequences, of any operand.
struct piece {
  index_t b, batch, t, tokens;
  template <class T, int Rank>
  view<const T, Rank> in(const tensor<T, Rank>& x) const {
    return slice(slice(x.in(), 0, b, batch), 1, t, tokens);
  }
  template <class T, int Rank>
  view<T, Rank> out(tensor<T, Rank>& x) const {
    return slice(slice(x.out(), 0, b, batch), 1, t, tokens);
  }
};

inline std::vector<piece> pieces(const problem& p) {
  const index_t batch = p.batch_per_call > 0 ? p.batch_per_call : p.B;
  const index_t tokens = p.tokens_per_call > 0 ? p.tokens_per_call : p.T;
  if (p.B * p.T == 0) return {{0, p.B, 0, p.T}};
  std::vector<piece> all;
  for (index_t b = 0; b < p.B; b += batch)
    for (index_t t = 0; t < p.T; t += tokens)
      all.push_back({b, std::min(batch, p.B - b), t, std::min(tokens, p.T - t)});
  return all;
}

/// The outputs of an operation, each with its elements in row-major order.
template <class T>
using outputs = std::vector<std::vector<T>>;

/// Takes the values of the outputs after checking that nothing around them was written; those of 16 bits as floats.
template <class T, class... Tensor>
outputs<rwkv7::compute_type<T>> collect(const Tensor&... y) {
  using wide = rwkv7::compute_type<T>;
  CHECK((y.surroundings_untouched() && ...));
  const auto widened = [](const auto& values) {
    std::vector<wide> all;
    for (const auto x : values) all.push_back(static_cast<wide>(x));
    return all;
  };
  return {widened(y.values())...};
}

/// Sizes around the vector widths, odd numbers of tokens, every layout, every element type of parameters.
inline std::vector<problem> problems() {
  std::vector<problem> all;
  for (const index_t N : widths) all.push_back({.N = N});
  for (const index_t T : lengths) all.push_back({.T = T, .N = 17});
  for (const layout how : layouts)
    for (const auto type : dtypes) all.push_back({.T = 5, .H = 2, .H_kv = 2, .N = 35, .how = how, .type = type});
  all.push_back({.B = 0});
  return all;
}
/// Likewise with heads, of which several may read the same keys and values.
inline std::vector<problem> problems_with_heads() {
  auto all = problems();
  for (const index_t H_kv : {1, 2, 4}) all.push_back({.H = 4, .H_kv = H_kv, .N = 20, .how = layout::padded});
  all.push_back({.H = 3, .H_kv = 1, .N = 65});
  return all;
}

/// distance(got, want, problem) of every output from the one that was wanted is within `budget`.
template <class A, class B, class Distance>
void check_close(const problem& p, const outputs<A>& got, const outputs<B>& want, Distance distance, double budget) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("output ", i);
    const double error = distance(got[i], want[i], p);
    CHECK(error <= budget);
  }
}

template <class T>
bool same_bits(const outputs<T>& x, const outputs<T>& y) {
  if (x.size() != y.size()) return false;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!same_bits(x[i], y[i])) return false;
  return true;
}

inline constexpr auto by_relative_l2 = [](const auto& got, const auto& want, auto&) { return relative_l2(got, want); };
inline constexpr auto by_ulps = [](const auto& got, const auto& want, auto&) { return max_ulps(got, want); };

/// The reference executor in double equals `formula(problem)`, which the test writes down once more.
template <class Run, class Formula>
void check_definition(const std::vector<problem>& all, Run run, Formula formula) {
  rwkv7::reference_executor exec;
  for (const auto& p : all) {
    INFO(p.text());
    check_close(p, run(exec, p, 0.0), formula(p), by_relative_l2, budget::definition);
  }
}

/// The reference executor on float operands gives the float nearest to its result in double.
template <class Run>
void check_rounded_once(const std::vector<problem>& all, Run run) {
  rwkv7::reference_executor exec;
  for (const auto& p : all) {
    INFO(p.text());
    check_close(p, run(exec, p, 0.0f), run(exec, p, 0.0), by_ulps, budget::rounded_once);
  }
}

/// Every executor of `for_each(f)` equals, in the type of zero, the reference executor in double within
/// budget(problem); no bit depends on the layout, or on whether a token comes alone.
template <class ForEach, class Run, class T, class Distance, class Budget>
void check_executors(ForEach for_each, const std::vector<problem>& all, Run run, T zero, Distance distance,
                     Budget budget) {
  rwkv7::reference_executor reference;
  for (const auto& p : all) {
    INFO(p.text());
    const outputs<double> want = run(reference, p, 0.0);
    auto alone = p;
    alone.how = layout::dense;
    alone.batch_per_call = alone.tokens_per_call = 1;
    for_each([&](auto& exec) {
      const outputs<T> got = run(exec, p, zero);
      check_close(p, got, want, distance, budget(p));
      CHECK(same_bits(got, run(exec, alone, zero)));
    });
  }
}

/// check_executors for every cpu executor, in float.
template <class Run, class Distance, class Budget>
void check_cpu(const std::vector<problem>& all, Run run, Distance distance, Budget budget) {
  check_executors([](auto f) { for_each_cpu_executor(f); }, all, run, 0.0f, distance, budget);
}

/// In place gives the bits of out of place, on every executor.
template <class Run>
void check_in_place(const std::vector<problem>& all, Run run) {
  for (const auto& p : all) {
    INFO(p.text());
    auto in_place = p;
    in_place.in_place = true;
    for_each_executor([&](auto& exec, auto zero) { CHECK(same_bits(run(exec, in_place, zero), run(exec, p, zero))); });
  }
}

/// D1 to D4, bitwise: from run to run, for any number of threads, whatever other sequences hold, however the tokens and
/// the batch are cut into calls. `p` has three sequences and is large enough to be split over threads.
template <class Run, class T = float>
void check_determinism(const problem& p, Run run, T zero = {}) {
  using real = rwkv7::compute_type<T>;
  auto exec = one_thread();
  const outputs<real> once = run(exec, p, zero);
  CHECK(same_bits(once, run(exec, p, zero)));
  for_each_threading([&](auto& threads) { CHECK(same_bits(once, run(threads, p, zero))); });

  auto cut = p;
  for (const index_t tokens : {index_t{1}, index_t{5}, index_t{32}}) {
    cut.tokens_per_call = tokens;
    INFO("tokens per call: ", tokens);
    CHECK(same_bits(once, run(exec, cut, zero)));
  }
  cut.tokens_per_call = 0;
  cut.batch_per_call = 1;
  CHECK(same_bits(once, run(exec, cut, zero)));

  auto neighbour = p;
  neighbour.nan_sequence = 1;
  const outputs<real> beside_nan = run(exec, neighbour, zero);
  for (std::size_t i = 0; i < once.size(); ++i) {
    REQUIRE(p.B == 3);
    const auto third = static_cast<std::ptrdiff_t>(once[i].size() / 3);
    const auto part = [&](const std::vector<real>& y, std::ptrdiff_t b) {
      return std::vector<real>(y.begin() + b * third, y.begin() + (b + 1) * third);
    };
    CHECK(same_bits(part(once[i], 0), part(beside_nan[i], 0)));
    CHECK(same_bits(part(once[i], 2), part(beside_nan[i], 2)));
    CHECK_FALSE(same_bits(part(once[i], 1), part(beside_nan[i], 1)));
  }
}

/// The float nearest to x that T can hold, found without T's own rounding: of the two beside it.
template <class T>
double nearest(double x) {
  const auto value = [](int bits) { return static_cast<double>(T{static_cast<std::uint16_t>(bits)}); };
  const int sign = std::signbit(x) ? 0x8000 : 0;
  int low = 0, high = T::from_float(std::numeric_limits<float>::infinity()).bits;
  while (high - low > 1) (value((low + high) / 2) <= std::fabs(x) ? low : high) = (low + high) / 2;
  const double below = std::fabs(x) - value(low), above = value(high) - std::fabs(x);
  return value(sign + (below < above || (below == above && low % 2 == 0) ? low : high));
}

/// Operands in T give the bits of the same values in float, rounded once; the reference executor those of double; and
/// so one is as far from the other as a rounding to T takes it.
template <class T, class Run>
void check_half(const std::vector<problem>& all, Run run) {
  rwkv7::reference_executor reference;
  for (auto p : all) {
    INFO(p.text());
    p.values = rwkv7::dtype_of<T>;
    const outputs<double> exact = run(reference, p, 0.0);
    outputs<float> want;
    for (const auto& y : exact) {
      want.emplace_back();
      for (const double x : y) want.back().push_back(static_cast<float>(nearest<T>(x)));
    }
    CHECK(run(reference, p, T{}) == want);
    for_each_arch([&](auto& exec) {
      const outputs<float> got = run(exec, p, T{});
      check_close(p, got, exact, by_relative_l2, budget::stored<T>);
      auto rounded = run(exec, p, 0.0f);
      for (auto& y : rounded)
        for (float& x : y) x = T::from_float(x).to_float();
      CHECK(same_bits(got, rounded));
    });
  }
}

/// check_executors for every instruction set, in double.
template <class Run>
void check_double(const std::vector<problem>& all, Run run) {
  check_executors([](auto f) { for_each_arch(f); }, all, run, 0.0, by_relative_l2,
                  [](auto&) { return budget::in_double; });
}

/// An operation on the types beside float: the bits that float gives, and D1 to D4 for `large`.
template <class Run>
void check_other_types(const std::vector<problem>& all, const problem& large, Run run) {
  check_half<rwkv7::bf16>(all, run);
  check_half<rwkv7::f16>(all, run);
  check_double(all, run);
  check_determinism(large, run, rwkv7::bf16{});
  check_determinism(large, run, rwkv7::f16{});
  check_determinism(large, run, 0.0);
}

}  // namespace rwkv7_test
