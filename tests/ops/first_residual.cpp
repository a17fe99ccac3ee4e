// SPDX-License-Identifier: MIT
#include "rwkv7/ops/first_residual.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

enum class target { another, x, mix };

template <target Target = target::another>
constexpr auto run_onto = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> x({p.B, p.T, p.H_kv, p.N}, p.how), first = x, mix({p.B, p.T, p.H, p.N}, p.how), y = mix;
  p.fill(x, "x");
  p.fill(first, "first");
  p.fill(mix, "mix", 0, 8);
  auto& to = !p.in_place || Target == target::another ? y : Target == target::x && p.H == p.H_kv ? x : mix;
  for (const auto& at : pieces(p))
    first_residual(exec, first_residual_inputs<T>{.x = at.in(x), .first = at.in(first), .mix = at.in(mix)}, at.out(to));
  return collect<T>(to);
};
constexpr auto run = run_onto<>;

/// The weighted mean of x and first, or the magnitude of what is summed to it.
std::vector<double> weighted(const problem& p, bool magnitude) {
  const index_t tokens = p.B * p.T, size = tokens * p.H_kv * p.N;
  const auto x = pattern("x", size, 0, unit_scale), first = pattern("first", size, 0, unit_scale);
  const auto mix = pattern("mix", tokens * p.channels(), 0, 8);
  std::vector<double> y;
  for (std::size_t at = 0; at < mix.size(); ++at) {
    const auto head = static_cast<index_t>(at) / p.N, n = static_cast<index_t>(at) % p.N;
    const auto i = static_cast<std::size_t>((head / p.H * p.H_kv + head % p.H * p.H_kv / p.H) * p.N + n);
    const long double share = 0.5L + 0.5L * std::tanh(0.5L * mix[at]);  // another form of the sigmoid
    y.push_back(
        static_cast<double>(magnitude ? std::fabs(x[i]) + std::fabs(first[i]) : share * first[i] + (1 - share) * x[i]));
  }
  return y;
}

}  // namespace

TEST_CASE("first_residual is a weighted mean of x and first") {
  check_definition(problems_with_heads(), run, [](auto& p) { return outputs<double>{weighted(p, false)}; });
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("first_residual on a cpu is within the elementwise budget") {
  const auto ulps = [](auto& got, auto& want, auto& p) { return max_ulps_of(got, want, weighted(p, true)); };
  // Two of the sigmoid; where nothing is fused, half of one for the difference, the product and the sum each.
  check_cpu(problems_with_heads(), run, ulps, [](auto&) { return budget::elementwise + 1.5; });
}

TEST_CASE("first_residual gives the same bits where the heads of one operand alone lie apart") {
  const problem p{.H = 3, .H_kv = 3, .N = 20};
  for_each_cpu_executor([&](auto& exec) {
    const outputs<float> want = run(exec, p, 0.0f);
    for (int apart = 0; apart < 4; ++apart) {
      const auto operand = [&](int i) {
        return tensor<float, 4>({p.B, p.T, p.H, p.N}, i == apart ? layout::padded : layout::dense);
      };
      auto x = operand(0), first = operand(1), mix = operand(2), y = operand(3);
      p.fill(x, "x");
      p.fill(first, "first");
      p.fill(mix, "mix", 0, 8);
      first_residual(exec, first_residual_inputs<float>{.x = x, .first = first, .mix = mix}, y.out());
      CHECK(same_bits(collect<float>(y), want));
    }
  });
}

TEST_CASE("first_residual may write onto x or onto mix") {
  check_in_place(problems_with_heads(), run_onto<target::x>);
  check_in_place(problems_with_heads(), run_onto<target::mix>);
}

TEST_CASE("first_residual does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("first_residual in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("first_residual names the operand that is wrong and writes nothing") {
  tensor<float, 4> x({2, 3, 2, 4}), first = x, mix = x, y = x;
  const auto refuses = [&](const char* text, const first_residual_inputs<float>& in, view<float, 4> y_) {
    check_refused(text, validate_first_residual(in, y_), [&](auto& exec) { first_residual(exec, in, y_); });
    CHECK((x.untouched() && first.untouched() && mix.untouched() && y.untouched()));
  };
  const auto small = resized(x.in(), 3, 3);
  refuses("rwkv7::first_residual: first axis N: got 3, want 4", {.x = x, .first = small, .mix = mix}, y.out());
  refuses("rwkv7::first_residual: x axis N: got 4, want 3", {.x = x, .first = first, .mix = small}, y.out());
  refuses("rwkv7::first_residual: x heads: got 2, want a divisor of H = 1",
          {.x = x, .first = first, .mix = resized(mix.in(), 2, 1)}, y.out());
  refuses("rwkv7::first_residual: y axis T: got 2, want 3", {.x = x, .first = first, .mix = mix},
          resized(y.out(), 1, 2));
  refuses("rwkv7::first_residual: x: not given", {.x = absent(x), .first = first, .mix = mix}, y.out());
  refuses("rwkv7::first_residual: first: not given", {.x = x, .first = {}, .mix = mix}, y.out());
  refuses("rwkv7::first_residual: mix: not given", {.x = x, .first = first, .mix = {}}, y.out());
  refuses("rwkv7::first_residual: y: not given", {.x = x, .first = first, .mix = mix}, {});
  refuses("rwkv7::first_residual: mix axis N: got stride 2, want 1",
          {.x = x, .first = first, .mix = every_second(mix.in())}, y.out());
  refuses("rwkv7::first_residual: y overlaps first", {.x = x, .first = first, .mix = mix}, first.out());
  refuses("rwkv7::first_residual: y overlaps x", {.x = reversed(x.in(), 1), .first = first, .mix = mix}, x.out());
  refuses("rwkv7::first_residual: y overlaps mix", {.x = x, .first = first, .mix = reversed(mix.in(), 0)}, mix.out());
  refuses("rwkv7::first_residual: y axis 0: stride 0 cannot be written (a broadcast tensor is read only)",
          {.x = x, .first = first, .mix = mix}, view<float, 4>(y.out().data(), {2, 3, 2, 4}, {0, 8, 4, 1}));
}
