// SPDX-License-Identifier: MIT
#include "rwkv7/ops/residual_add.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.channels()}, p.how), y = x;
  p.fill(x, "x");
  p.fill(y, "y");
  for (const auto& at : pieces(p)) residual_add(exec, residual_add_inputs<T>{.x = at.in(x)}, at.out(y));
  return collect<T>(y);
};

constexpr auto run_scaled = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.channels()}, p.how), y = x;
  p.fill(x, "x");
  p.fill(y, "y");
  residual_add(exec, residual_add_inputs<T>{.x = x, .scale = 0.2}, y.out());
  return collect<T>(y);
};

template <bool Scaled = false>
outputs<double> formula(const problem& p) {
  const index_t size = p.B * p.T * p.channels();
  const auto x = pattern("x", size, 0, unit_scale), y = pattern("y", size, 0, unit_scale);
  std::vector<double> sum;
  for (std::size_t i = 0; i < x.size(); ++i) sum.push_back(double(y[i]) + (Scaled ? 0.2 : 1) * double(x[i]));
  return {sum};
}

}  // namespace

TEST_CASE("residual_add adds to what is there") {
  check_definition(problems(), run, formula<>);
  check_rounded_once(problems(), run);
}

TEST_CASE("residual_add may scale what it adds") {
  check_definition(problems(), run_scaled, formula<true>);
  check_cpu(problems(), run_scaled, by_relative_l2, [](auto&) { return budget::elementwise * budget::unit_roundoff; });
}

TEST_CASE("residual_add on a cpu is rounded once") {
  check_cpu(problems(), run, by_ulps, [](auto&) { return budget::rounded_once; });
}

TEST_CASE("residual_add does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("residual_add in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("residual_add names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), y = x;
  const auto refuses = [&](const char* text, view<const float, 3> x_, view<float, 3> y_) {
    const residual_add_inputs<float> in{.x = x_};
    check_refused(text, validate_residual_add(in, y_), [&](auto& exec) { residual_add(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  refuses("rwkv7::residual_add: y axis C: got 3, want 4", x, resized(y.out(), 2, 3));
  refuses("rwkv7::residual_add: y axis B: got 1, want 2", x, resized(y.out(), 0, 1));
  refuses("rwkv7::residual_add: x: not given", absent(x), y.out());
  refuses("rwkv7::residual_add: y: not given", x, {});
  refuses("rwkv7::residual_add: x axis C: got stride 2, want 1", every_second(x.in()), y.out());
  refuses("rwkv7::residual_add: y axis C: got stride 2, want 1", x, every_second(y.out()));
  refuses("rwkv7::residual_add: y overlaps x", y, y.out());
  refuses("rwkv7::residual_add: y axis 1: stride 0 cannot be written (a broadcast tensor is read only)", x,
          view<float, 3>(y.out().data(), {2, 3, 4}, {12, 0, 1}));
}
