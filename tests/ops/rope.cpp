// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rope.hpp"

#include <doctest/doctest.h>
#include <cmath>
#include <complex>

#include "rwkv7/ops/rope_table.hpp"
#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Heads have 2 N channels, so that every N is a number of pairs. The angles are those of no model.
float angle_of(const problem& p, index_t i) {
  return pattern_stream("angle")(i % (p.N * p.T) + i / (p.N * p.T) * 7, 0, 4);
}

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> x({p.B, p.T, p.H, 2 * p.N}, p.how), y = x;
  tensor<compute_type<T>, 3> cosine({p.B, p.T, p.N}, p.how), sine = cosine;
  p.fill(x, "x");
  // The same values in every type.
  cosine.generate([&](index_t i) { return static_cast<compute_type<T>>(std::cos(angle_of(p, i))); });
  sine.generate([&](index_t i) { return static_cast<compute_type<T>>(std::sin(angle_of(p, i))); });
  auto& to = p.in_place ? x : y;
  for (const auto& at : pieces(p))
    rope(exec, rope_inputs<T>{.x = at.in(x), .cos = at.in(cosine), .sin = at.in(sine)}, at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  const auto x = pattern("x", p.B * p.T * p.H * 2 * p.N, 0, unit_scale);
  std::vector<double> y(x.size());
  for (index_t token = 0; token < p.B * p.T; ++token)
    for (index_t h = 0; h < p.H; ++h)
      for (index_t i = 0; i < p.N; ++i) {
        const auto low = static_cast<std::size_t>((token * p.H + h) * 2 * p.N + i), high = low + std::size_t(p.N);
        const float angle = angle_of(p, token * p.N + i);
        const auto turned =
            std::complex<long double>(x[low], x[high]) * std::complex<long double>(std::cos(angle), std::sin(angle));
        y[low] = static_cast<double>(turned.real());
        y[high] = static_cast<double>(turned.imag());
      }
  return {y};
}

}  // namespace

TEST_CASE("rope turns channel i with channel i + N / 2, every head of a token alike") {
  check_definition(problems_with_heads(), run, formula);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("rope on a cpu is within the budget of a sum of two") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto&) { return budget::reduction(2); });
}

TEST_CASE("rope may write onto x") { check_in_place(problems_with_heads(), run); }

TEST_CASE("rope does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("rope in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE(
    "rope at position 1,000,000 is within 1e-6 of long double, and exact positions cut into calls keep its bits") {
  constexpr index_t N = 128, tokens = 5, first = 1'000'000;
  constexpr long double theta = 8e6L;
  const auto x = pattern("x", tokens * N, 0, unit_scale);
  std::vector<long double> want(x.size());
  for (index_t t = 0; t < tokens; ++t)
    for (index_t i = 0; i < N / 2; ++i) {
      const long double angle = (first + t) * std::pow(theta, -2.0L * i / N);
      const auto low = static_cast<std::size_t>(t * N + i), high = low + N / 2;
      want[low] = x[low] * std::cos(angle) - x[high] * std::sin(angle);
      want[high] = x[high] * std::cos(angle) + x[low] * std::sin(angle);
    }
  for_each_executor([&](auto& exec, auto zero) {
    using T = decltype(zero);
    std::vector<double> frequency(N / 2);
    rope_frequencies(static_cast<double>(theta), view<double, 1>(frequency.data(), {N / 2}));
    const auto turned = [&](index_t tokens_per_call) {
      std::vector<T> y(x.begin(), x.end()), table(2 * tokens * N / 2);
      for (index_t t = 0; t < tokens; t += tokens_per_call) {
        const std::int64_t position[] = {first + t};
        const view<T, 3> cosine(table.data(), {1, tokens_per_call, N / 2});
        const view<T, 3> sine(table.data() + tokens * N / 2, {1, tokens_per_call, N / 2});
        rope_table(exec, dense{1, tokens_per_call},
                   rope_table_inputs<T>{.position = view<const std::int64_t, 1>(position, {1}),
                                        .frequency = view<const double, 1>(frequency.data(), {N / 2})},
                   {.cos = cosine, .sin = sine});
        const view<T, 4> here(y.data() + t * N, {1, tokens_per_call, 1, N});
        rope(exec, rope_inputs<T>{.x = here, .cos = cosine, .sin = sine}, here);
      }
      return y;
    };
    const auto y = turned(tokens);
    double worst = 0;
    for (std::size_t i = 0; i < y.size(); ++i) worst = std::fmax(worst, std::fabs(double(y[i] - want[i])));
    CHECK(worst <= 1e-6);
    CHECK(same_bits(y, turned(1)));
  });
}

TEST_CASE("rope names the operand that is wrong and writes nothing") {
  tensor<float, 4> x({2, 3, 2, 6}), y = x;
  tensor<float, 3> cosine({2, 3, 3}), sine = cosine;
  const rope_inputs<float> in{.x = x, .cos = cosine, .sin = sine};
  const auto refuses = [&](const char* text, auto change) {
    auto in_ = in;
    auto y_ = y.out();
    change(in_, y_);
    check_refused(text, validate_rope(in_, y_), [&](auto& exec) { rope(exec, in_, y_); });
    CHECK((x.untouched() && y.untouched() && cosine.untouched() && sine.untouched()));
  };
  refuses("rwkv7::rope: head size N: got 5, want an even number", [](auto& i, auto& o) {
    i.x = resized(i.x, 3, 5);
    o = resized(o, 3, 5);
  });
  refuses("rwkv7::rope: cos axis N / 2: got 3, want 2", [](auto& i, auto& o) {
    i.x = resized(i.x, 3, 4);
    o = resized(o, 3, 4);
  });
  refuses("rwkv7::rope: sin axis T: got 2, want 3", [](auto& i, auto&) { i.sin = resized(i.sin, 1, 2); });
  refuses("rwkv7::rope: y axis H: got 1, want 2", [](auto&, auto& o) { o = resized(o, 2, 1); });
  refuses("rwkv7::rope: x: not given", [&](auto& i, auto&) { i.x = absent(x); });
  refuses("rwkv7::rope: cos: not given", [](auto& i, auto&) { i.cos = {}; });
  refuses("rwkv7::rope: sin: not given", [](auto& i, auto&) { i.sin = {}; });
  refuses("rwkv7::rope: y: not given", [](auto&, auto& o) { o = {}; });
  refuses("rwkv7::rope: x axis N: got stride 2, want 1", [](auto& i, auto&) { i.x = every_second(i.x); });
  refuses("rwkv7::rope: cos axis N / 2: got stride 2, want 1", [](auto& i, auto&) { i.cos = every_second(i.cos); });
  refuses("rwkv7::rope: y overlaps x", [&](auto& i, auto&) { i.x = reversed(y.in(), 1); });
  refuses("rwkv7::rope: y overlaps sin", [&](auto& i, auto&) {
    i.sin = view<const float, 3>(y.in().data(), {2, 3, 3});
  });
  refuses("rwkv7::rope: y axis 2: stride 0 cannot be written (a broadcast tensor is read only)", [&](auto&, auto& o) {
    o = view<float, 4>(o.data(), {2, 3, 2, 6}, {18, 6, 0, 1});
  });
}
