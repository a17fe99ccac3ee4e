// SPDX-License-Identifier: MIT
#include "rwkv7/ops/squared_relu.hpp"

#include <doctest/doctest.h>
#include <limits>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.channels()}, p.how), y = x;
  p.fill(x, "x");
  auto& to = p.in_place ? x : y;
  for (const auto& at : pieces(p)) squared_relu(exec, squared_relu_inputs<T>{.x = at.in(x)}, at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  std::vector<double> y;
  for (const float x : pattern("x", p.B * p.T * p.channels(), 0, unit_scale)) y.push_back(x > 0 ? double(x) * x : 0);
  return {y};
}

}  // namespace

TEST_CASE("squared_relu squares what is positive") {
  check_definition(problems(), run, formula);
  check_rounded_once(problems(), run);
}

TEST_CASE("squared_relu on a cpu is rounded once") {
  check_cpu(problems(), run, by_ulps, [](auto&) { return budget::rounded_once; });
}

TEST_CASE("squared_relu may write onto x") { check_in_place(problems(), run); }

TEST_CASE("squared_relu keeps NaN and infinity, and gives no negative zero") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    constexpr T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    const T x[] = {nan, infinity, -infinity, T(-0.0), T(-1), -nan};
    T y[6] = {};
    squared_relu(exec, squared_relu_inputs<T>{.x = view<const T, 3>(x, {1, 1, 6})}, view<T, 3>(y, {1, 1, 6}));
    CHECK((std::isnan(y[0]) && std::isnan(y[5])));
    CHECK(y[1] == infinity);
    for (const int i : {2, 3, 4}) CHECK(bits_of(y[i]) == bits_of(T(0)));
  });
}

TEST_CASE("squared_relu does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("squared_relu in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("squared_relu names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), y = x;
  const auto refuses = [&](const char* text, view<const float, 3> x_, view<float, 3> y_) {
    const squared_relu_inputs<float> in{.x = x_};
    check_refused(text, validate_squared_relu(in, y_), [&](auto& exec) { squared_relu(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  refuses("rwkv7::squared_relu: y axis F: got 3, want 4", x, resized(y.out(), 2, 3));
  refuses("rwkv7::squared_relu: y axis T: got 1, want 3", x, resized(y.out(), 1, 1));
  refuses("rwkv7::squared_relu: x: not given", absent(x), y.out());
  refuses("rwkv7::squared_relu: y: not given", x, {});
  refuses("rwkv7::squared_relu: x axis F: got stride 2, want 1", every_second(x.in()), y.out());
  refuses("rwkv7::squared_relu: y axis F: got stride 2, want 1", x, every_second(y.out()));
  refuses("rwkv7::squared_relu: y overlaps x", slice(x.in(), 2, 0, 2), slice(x.out(), 2, 1, 2));
  refuses("rwkv7::squared_relu: y axis 0: stride 0 cannot be written (a broadcast tensor is read only)", x,
          view<float, 3>(y.out().data(), {2, 3, 4}, {0, 4, 1}));
}
