// SPDX-License-Identifier: MIT
#include "rwkv7/ops/gate.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

enum class target { another, x, g };

template <target Target = target::another>
constexpr auto run_onto = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.channels()}, p.how), g = x, y = x;
  p.fill(x, "x");
  p.fill(g, "g");
  auto& to = !p.in_place || Target == target::another ? y : Target == target::x ? x : g;
  for (const auto& at : pieces(p)) gate(exec, gate_inputs<T>{.x = at.in(x), .g = at.in(g)}, at.out(to));
  return collect<T>(to);
};
constexpr auto run = run_onto<>;

outputs<double> formula(const problem& p) {
  const index_t size = p.B * p.T * p.channels();
  const auto x = pattern("x", size, 0, unit_scale), g = pattern("g", size, 0, unit_scale);
  std::vector<double> y;
  for (std::size_t i = 0; i < x.size(); ++i) y.push_back(double(x[i]) * double(g[i]));
  return {y};
}

}  // namespace

TEST_CASE("gate is the product of its operands") {
  check_definition(problems(), run, formula);
  check_rounded_once(problems(), run);
}

TEST_CASE("gate on a cpu is rounded once") {
  check_cpu(problems(), run, by_ulps, [](auto&) { return budget::rounded_once; });
}

TEST_CASE("gate may write onto x or onto g") {
  check_in_place(problems(), run_onto<target::x>);
  check_in_place(problems(), run_onto<target::g>);
}

TEST_CASE("gate does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 8, .N = 129}, run);
}

TEST_CASE("gate in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("gate names the operand that is wrong and writes nothing") {
  tensor<float, 3> x({2, 3, 4}), g = x, y = x;
  const auto refuses = [&](const char* text, view<const float, 3> x_, view<const float, 3> g_, view<float, 3> y_) {
    const gate_inputs<float> in{.x = x_, .g = g_};
    check_refused(text, validate_gate(in, y_), [&](auto& exec) { gate(exec, in, y_); });
    CHECK((x.untouched() && g.untouched() && y.untouched()));
  };
  refuses("rwkv7::gate: g axis D: got 3, want 4", x, resized(g.in(), 2, 3), y.out());
  refuses("rwkv7::gate: y axis T: got 2, want 3", x, g, resized(y.out(), 1, 2));
  refuses("rwkv7::gate: y axis B: got 1, want 2", x, g, resized(y.out(), 0, 1));
  refuses("rwkv7::gate: x: not given", absent(x), g, y.out());
  refuses("rwkv7::gate: g: not given", x, {}, y.out());
  refuses("rwkv7::gate: y: not given", x, g, {});
  refuses("rwkv7::gate: x axis D: got stride 2, want 1", every_second(x.in()), g, y.out());
  refuses("rwkv7::gate: y axis D: got stride 2, want 1", x, g, every_second(y.out()));
  refuses("rwkv7::gate: y overlaps x", slice(x.in(), 1, 0, 2), slice(g.in(), 1, 0, 2), slice(x.out(), 1, 1, 2));
  refuses("rwkv7::gate: y overlaps g", x, reversed(y.in(), 1), y.out());
  refuses("rwkv7::gate: y axis 1: stride 0 cannot be written (a broadcast tensor is read only)", x, g,
          view<float, 3>(y.out().data(), {2, 3, 4}, {12, 0, 1}));
}
