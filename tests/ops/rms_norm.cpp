// SPDX-License-Identifier: MIT
#include "rwkv7/ops/rms_norm.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

constexpr double eps = 1e-5;

parameter<1> weight_of(const problem& p) { return {{p.N}, p.type, "weight", 1, 0.5f}; }

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> x({p.B, p.T, p.H, p.N}, p.how), y = x;
  p.fill(x, "x", 0.3f, 2);
  const auto weight = weight_of(p);
  auto& to = p.in_place ? x : y;
  for (const auto& at : pieces(p))
    rms_norm(exec, rms_norm_inputs<T>{.x = at.in(x), .weight = weight, .eps = eps}, at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  const auto x = pattern("x", p.B * p.T * p.channels(), 0.3f, 2);
  const auto weight = weight_of(p);
  std::vector<double> y;
  for (auto head = x.begin(); head != x.end(); head += p.N) {
    long double squares = 0;
    for (index_t n = p.N; n-- > 0;) squares += static_cast<long double>(head[n]) * head[n];
    const long double scale = std::sqrt(p.N / (squares + p.N * static_cast<long double>(eps)));
    for (index_t n = 0; n < p.N; ++n) y.push_back(static_cast<double>(weight[n] * head[n] * scale));
  }
  return {y};
}

}  // namespace

TEST_CASE("rms_norm gives every head of every token a mean square of 1, then the weight") {
  check_definition(problems_with_heads(), run, formula);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("rms_norm on a cpu is within the budget of a reduction over N") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("rms_norm of whole tokens, as wide as models are, is that of one head") {
  for_each_cpu_executor([](auto& exec) {
    const index_t C = 6144;
    tensor<float, 3> x({1, 2, C}), y = x;
    fill(x, "x", 0.3f, 2);
    const parameter<1> weight({C}, dtype::bf16, "weight", 1, 0.5f);
    rms_norm(exec, rms_norm_inputs<float>{.x = split_heads(x.in(), C), .weight = weight, .eps = eps},
             split_heads(y.out(), C));
    const problem p{.B = 1, .T = 2, .N = C, .type = dtype::bf16};
    CHECK(relative_l2(y.values(), formula(p)[0]) <= budget::reduction(C));
  });
}

TEST_CASE("rms_norm does not take the mean away, and eps is what keeps small values small") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const float two[] = {2, 2};
    const T x[] = {3, 3, T(1e-3), T(-1e-3)};
    T y[4] = {};
    const view<const T, 4> in(x, {1, 1, 2, 2});
    const view<const float, 1> weight(two, {2});
    const auto norm = [&](double e) {
      rms_norm(exec, rms_norm_inputs<T>{.x = in, .weight = weight, .eps = e}, view<T, 4>(y, {1, 1, 2, 2}));
    };
    norm(0);
    CHECK(max_abs(std::vector<T>(y, y + 4), std::vector<double>{2, 2, 2, -2}) <= 2 * budget::reduction(2));
    norm(7);
    CHECK(max_abs(std::vector<T>(y, y + 2), std::vector<double>{1.5, 1.5}) <= 2 * budget::reduction(2));
    norm(3e-6);
    CHECK(max_abs(std::vector<T>(y + 2, y + 4), std::vector<double>{1, -1}) <= 2 * budget::reduction(2));
  });
}

TEST_CASE("rms_norm of a head with NaN is NaN, and its neighbours are not") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const float one[] = {1, 1};
    T x[] = {std::numeric_limits<T>::quiet_NaN(), 1, 1, 1};
    const view<T, 4> heads(x, {1, 1, 2, 2});
    rms_norm(exec, rms_norm_inputs<T>{.x = heads, .weight = view<const float, 1>(one, {2}), .eps = 0}, heads);
    CHECK((std::isnan(x[0]) && std::isnan(x[1]) && x[2] == 1 && x[3] == 1));
  });
}

TEST_CASE("rms_norm may write onto x") { check_in_place(problems_with_heads(), run); }

TEST_CASE("rms_norm does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("rms_norm in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("rms_norm names the operand that is wrong and writes nothing") {
  tensor<float, 4> x({2, 3, 2, 4}), y = x;
  tensor<float, 1> weight({4}), wide({8});
  const auto refuses = [&](const char* text, view<const float, 4> x_, weights<1> w, view<float, 4> y_) {
    const rms_norm_inputs<float> in{.x = x_, .weight = w, .eps = eps};
    check_refused(text, validate_rms_norm(in, y_), [&](auto& exec) { rms_norm(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  const weights<1> w = weight.in();
  refuses("rwkv7::rms_norm: weight axis N: got 8, want 4", x, wide.in(), y.out());
  refuses("rwkv7::rms_norm: y axis H: got 1, want 2", x, w, resized(y.out(), 2, 1));
  refuses("rwkv7::rms_norm: y axis N: got 3, want 4", x, w, resized(y.out(), 3, 3));
  refuses("rwkv7::rms_norm: x: not given", absent(x), w, y.out());
  refuses("rwkv7::rms_norm: weight: not given", x, {}, y.out());
  refuses("rwkv7::rms_norm: y: not given", x, w, {});
  refuses("rwkv7::rms_norm: x axis N: got stride 2, want 1", every_second(x.in()), w, y.out());
  refuses("rwkv7::rms_norm: weight axis N: got stride 2, want 1", x, every_second(weight.in()), y.out());
  refuses("rwkv7::rms_norm: y overlaps x", reversed(x.in(), 2), w, x.out());
  refuses("rwkv7::rms_norm: y overlaps weight", x, view<const float, 1>(y.out().data(), {4}), y.out());
  refuses("rwkv7::rms_norm: y axis 0: stride 0 cannot be written (a broadcast tensor is read only)", x, w,
          view<float, 4>(y.out().data(), {2, 3, 2, 4}, {0, 8, 4, 1}));
}
