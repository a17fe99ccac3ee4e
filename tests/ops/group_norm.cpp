// SPDX-License-Identifier: MIT
#include "rwkv7/ops/group_norm.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

parameter<1> weight_of(const problem& p) { return {{p.channels()}, p.type, "weight", 1, 0.5f}; }
parameter<1> bias_of(const problem& p) { return {{p.channels()}, p.type, "bias", 0, 0.5f}; }

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> x({p.B, p.T, p.H, p.N}, p.how), y = x;
  p.fill(x, "x", 0.3f, 2);
  const auto weight = weight_of(p), bias = bias_of(p);
  auto& to = p.in_place ? x : y;
  for (const auto& at : pieces(p))
    group_norm(exec, group_norm_inputs<T>{.x = at.in(x), .weight = weight, .bias = bias}, at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  const auto x = pattern("x", p.B * p.T * p.channels(), 0.3f, 2);
  const auto weight = weight_of(p), bias = bias_of(p);
  std::vector<double> y;
  for (auto head = x.begin(); head != x.end(); head += p.N) {
    long double sum = 0, squares = 0;  // the variance as E[x²] - E[x]², which long double can afford
    for (index_t n = 0; n < p.N; ++n) {
      sum += head[n];
      squares += static_cast<long double>(head[n]) * head[n];
    }
    const long double mean = sum / p.N, deviation = std::sqrt(squares / p.N - mean * mean + 64e-5L);
    const index_t channel = (head - x.begin()) % p.channels();
    for (index_t n = 0; n < p.N; ++n)
      y.push_back(static_cast<double>((head[n] - mean) / deviation * weight[channel + n] + bias[channel + n]));
  }
  return {y};
}

}  // namespace

TEST_CASE("group_norm gives every head of every token mean 0 and variance 1, then weight and bias") {
  check_definition(problems_with_heads(), run, formula);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("group_norm on a cpu is within the budget of a reduction over N") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("group_norm of values that do not vary is the bias, and eps is what keeps small ones small") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const float two[] = {2, 2, 2, 2}, half[] = {0.5f, 0.5f, 0.5f, 0.5f};
    const view<const float, 1> weight(two, {4}), bias(half, {4});
    const T x[] = {T(0.3), T(0.3), 3, -3};
    T y[4] = {};
    const view<T, 4> out(y, {1, 1, 2, 2});
    const view<const T, 4> in(x, {1, 1, 2, 2});
    group_norm(exec, group_norm_inputs<T>{.x = in, .weight = weight, .bias = bias, .eps = 7}, out);
    CHECK(std::vector<T>(y, y + 4) == std::vector<T>{T(0.5), T(0.5), 2, -1});
    group_norm(exec, group_norm_inputs<T>{.x = in, .weight = weight, .bias = bias}, out);
    CHECK(relative_l2(std::vector<T>(y + 2, y + 3), std::vector<double>{6 / std::sqrt(9 + 64e-5) + 0.5}) <=
          budget::reduction(2));
  });
}

TEST_CASE("group_norm with the eps of layer_norm would be noticed") {
  const problem p{.N = 64};
  tensor<float, 4> x({p.B, p.T, p.H, p.N}), y = x;
  p.fill(x, "x", 0.3f, 2);
  const auto weight = weight_of(p), bias = bias_of(p);
  inline_executor exec;
  group_norm(exec, group_norm_inputs<float>{.x = x, .weight = weight, .bias = bias, .eps = 1e-5}, y.out());
  CHECK(relative_l2(y.values(), formula(p)[0]) > budget::planted_fault * budget::reduction(p.N));
}

TEST_CASE("group_norm may write onto x") { check_in_place(problems_with_heads(), run); }

TEST_CASE("group_norm does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("group_norm in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("group_norm names the operand that is wrong and writes nothing") {
  tensor<float, 4> x({2, 3, 2, 4}), y = x;
  tensor<float, 1> weight({8}), bias({8});
  const auto refuses = [&](const char* text, const group_norm_inputs<float>& in, view<float, 4> y_) {
    check_refused(text, validate_group_norm(in, y_), [&](auto& exec) { group_norm(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  const weights<1> w = weight.in(), b = bias.in(), small = resized(weight.in(), 0, 4);
  refuses("rwkv7::group_norm: weight axis H N: got 4, want 8", {.x = x, .weight = small, .bias = b}, y.out());
  refuses("rwkv7::group_norm: bias axis H N: got 4, want 8", {.x = x, .weight = w, .bias = small}, y.out());
  refuses("rwkv7::group_norm: y axis H: got 1, want 2", {.x = x, .weight = w, .bias = b}, resized(y.out(), 2, 1));
  refuses("rwkv7::group_norm: y axis N: got 3, want 4", {.x = x, .weight = w, .bias = b}, resized(y.out(), 3, 3));
  refuses("rwkv7::group_norm: x: not given", {.x = absent(x), .weight = w, .bias = b}, y.out());
  refuses("rwkv7::group_norm: weight: not given", {.x = x, .weight = {}, .bias = b}, y.out());
  refuses("rwkv7::group_norm: bias: not given", {.x = x, .weight = w, .bias = {}}, y.out());
  refuses("rwkv7::group_norm: y: not given", {.x = x, .weight = w, .bias = b}, {});
  refuses("rwkv7::group_norm: x axis N: got stride 2, want 1", {.x = every_second(x.in()), .weight = w, .bias = b},
          y.out());
  refuses("rwkv7::group_norm: bias axis H N: got stride 2, want 1",
          {.x = x, .weight = w, .bias = every_second(bias.in())}, y.out());
  refuses("rwkv7::group_norm: y overlaps x", {.x = reversed(x.in(), 2), .weight = w, .bias = b}, x.out());
}
