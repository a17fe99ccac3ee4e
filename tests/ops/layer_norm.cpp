// SPDX-License-Identifier: MIT
#include "rwkv7/ops/layer_norm.hpp"

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
  tensor<T, 3> x({p.B, p.T, p.channels()}, p.how), y = x;
  p.fill(x, "x", 0.3f, 2);
  const auto weight = weight_of(p), bias = bias_of(p);
  auto& to = p.in_place ? x : y;
  for (const auto& at : pieces(p))
    layer_norm(exec, layer_norm_inputs<T>{.x = at.in(x), .weight = weight, .bias = bias}, at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  const index_t C = p.channels();
  const auto x = pattern("x", p.B * p.T * C, 0.3f, 2);
  const auto weight = weight_of(p), bias = bias_of(p);
  std::vector<double> y;
  for (auto row = x.begin(); row != x.end(); row += C) {
    long double sum = 0, squares = 0;  // the variance as E[x²] - E[x]², which long double can afford
    for (index_t c = 0; c < C; ++c) {
      sum += row[c];
      squares += static_cast<long double>(row[c]) * row[c];
    }
    const long double mean = sum / C, variance = squares / C - mean * mean;
    for (index_t c = 0; c < C; ++c)
      y.push_back(static_cast<double>((row[c] - mean) / std::sqrt(variance + 1e-5L) * weight[c] + bias[c]));
  }
  return {y};
}

}  // namespace

TEST_CASE("layer_norm gives every token mean 0 and variance 1, then weight and bias") {
  check_definition(problems(), run, formula);
  check_rounded_once(problems(), run);
}

TEST_CASE("layer_norm on a cpu is within the budget of a reduction over C") {
  auto all = problems();
  all.push_back({.N = 1024});
  check_cpu(all, run, by_relative_l2, [](auto& p) { return budget::reduction(p.channels()); });
}

TEST_CASE("layer_norm does not cancel when the mean is a thousand times the deviation") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    tensor<T, 3> x({1, 1, 64}), y = x;
    x.generate([](index_t i) { return T(1000 + (i % 2 == 0 ? 1 : -1)); });
    const parameter<1> ones({64}, dtype::f32, "ones", 1, 0), zeros({64}, dtype::f32, "zeros", 0, 0);
    layer_norm(exec, layer_norm_inputs<T>{.x = x, .weight = ones, .bias = zeros}, y.out());
    std::vector<double> want;
    for (index_t i = 0; i < 64; ++i) want.push_back((i % 2 == 0 ? 1 : -1) / std::sqrt(1 + 1e-5));
    CHECK(relative_l2(y.values(), want) <= budget::reduction(64));
  });
}

TEST_CASE("layer_norm takes another eps") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const T x[] = {1, -1};
    const float one[] = {1, 1}, none[] = {0, 0};
    T y[2] = {};
    const view<const float, 1> weight(one, {2}), bias(none, {2});
    layer_norm(exec,
               layer_norm_inputs<T>{.x = view<const T, 3>(x, {1, 1, 2}), .weight = weight, .bias = bias, .eps = 3},
               view<T, 3>(y, {1, 1, 2}));
    CHECK((y[0] == T(0.5) && y[1] == T(-0.5)));
  });
}

TEST_CASE("layer_norm may write onto x") { check_in_place(problems(), run); }

TEST_CASE("layer_norm does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("layer_norm in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("layer_norm names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), y = x;
  tensor<float, 1> weight({4}), bias({4});
  const auto refuses = [&](const char* text, const layer_norm_inputs<float>& in, view<float, 3> y_) {
    check_refused(text, validate_layer_norm(in, y_), [&](auto& exec) { layer_norm(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  const weights<1> w = weight.in(), b = bias.in(), small = resized(weight.in(), 0, 3);
  refuses("rwkv7::layer_norm: weight axis C: got 3, want 4", {.x = x, .weight = small, .bias = b}, y.out());
  refuses("rwkv7::layer_norm: bias axis C: got 3, want 4", {.x = x, .weight = w, .bias = small}, y.out());
  refuses("rwkv7::layer_norm: y axis C: got 3, want 4", {.x = x, .weight = w, .bias = b}, resized(y.out(), 2, 3));
  refuses("rwkv7::layer_norm: x: not given", {.x = absent(x), .weight = w, .bias = b}, y.out());
  refuses("rwkv7::layer_norm: weight: not given", {.x = x, .weight = {}, .bias = b}, y.out());
  refuses("rwkv7::layer_norm: bias: not given", {.x = x, .weight = w, .bias = {}}, y.out());
  refuses("rwkv7::layer_norm: y: not given", {.x = x, .weight = w, .bias = b}, {});
  refuses("rwkv7::layer_norm: x axis C: got stride 2, want 1", {.x = every_second(x.in()), .weight = w, .bias = b},
          y.out());
  refuses("rwkv7::layer_norm: weight axis C: got stride 2, want 1",
          {.x = x, .weight = every_second(weight.in()), .bias = b}, y.out());
  refuses("rwkv7::layer_norm: y overlaps x", {.x = reversed(x.in(), 1), .weight = w, .bias = b}, x.out());
}
