// SPDX-License-Identifier: MIT
#include "rwkv7/ops/swiglu.hpp"

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

enum class target { another, gate, up };

template <target Target = target::another>
constexpr auto run_onto = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> gate({p.B, p.T, p.channels()}, p.how), up = gate, y = gate;
  p.fill(gate, "gate", 0, 12);
  p.fill(up, "up");
  auto& to = !p.in_place || Target == target::another ? y : Target == target::gate ? gate : up;
  for (const auto& at : pieces(p)) swiglu(exec, swiglu_inputs<T>{.gate = at.in(gate), .up = at.in(up)}, at.out(to));
  return collect<T>(to);
};
constexpr auto run = run_onto<>;

outputs<double> formula(const problem& p) {
  const index_t size = p.B * p.T * p.channels();
  const auto gate = pattern("gate", size, 0, 12), up = pattern("up", size, 0, unit_scale);
  std::vector<double> y;
  for (std::size_t i = 0; i < gate.size(); ++i) {
    // σ(x) = (1 + tanh(x / 2)) / 2
    const long double x = gate[i], half = std::tanh(std::fabs(x) / 2), sigmoid = (x < 0 ? 1 - half : 1 + half) / 2;
    y.push_back(static_cast<double>(x * sigmoid * up[i]));
  }
  return {y};
}

}  // namespace

TEST_CASE("swiglu is silu of the gate times up") {
  check_definition(problems(), run, formula);
  check_rounded_once(problems(), run);
}

TEST_CASE("swiglu on a cpu is within the budget of a product with silu") {
  check_cpu(problems(), run, by_ulps, [](auto&) { return 2 * budget::elementwise; });
}

TEST_CASE("swiglu takes gate and up from one product, gate first, and may write onto its gate") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const problem p{.B = 2, .T = 3, .N = 37};
    tensor<T, 3> fused({p.B, p.T, 2 * p.N});
    const auto gate = slice(fused.out(), 2, 0, p.N), up = slice(fused.out(), 2, p.N, p.N);
    const auto gates = pattern("gate", p.B * p.T * p.N, 0, 12), ups = pattern("up", p.B * p.T * p.N, 0, unit_scale);
    const auto row = [&](index_t i) { return std::pair{i / p.N / p.T, i / p.N % p.T}; };
    for (index_t i = 0; i < p.B * p.T * p.N; ++i) {
      gate(row(i).first, row(i).second, i % p.N) = element<T>(gates[static_cast<std::size_t>(i)]);
      up(row(i).first, row(i).second, i % p.N) = element<T>(ups[static_cast<std::size_t>(i)]);
    }
    swiglu(exec, swiglu_inputs<T>{.gate = gate, .up = up}, gate);
    std::vector<T> got;
    for (index_t i = 0; i < p.B * p.T * p.N; ++i) {
      got.push_back(gate(row(i).first, row(i).second, i % p.N));
      CHECK(up(row(i).first, row(i).second, i % p.N) == element<T>(ups[static_cast<std::size_t>(i)]));
    }
    CHECK(max_ulps(got, formula(p)[0]) <= 2 * budget::elementwise);
  });
}

TEST_CASE("swiglu goes to its limits: far gates pass up or nothing, and no gate makes it infinite") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    constexpr T infinity = std::numeric_limits<T>::infinity(), largest = std::numeric_limits<T>::max();
    const T gate[] = {0,        100, -120, -1e30f, largest, -largest, infinity, std::numeric_limits<T>::quiet_NaN(),
                      -infinity};
    const T up[] = {3, 2, 1, 1, 1, 1, 1, 1, 1};
    T y[9] = {};
    const auto tensor_of = [](auto* x) { return view<std::remove_pointer_t<decltype(x)>, 3>(x, {1, 1, 9}); };
    swiglu(exec, swiglu_inputs<T>{.gate = tensor_of(gate), .up = tensor_of(up)}, tensor_of(y));
    CHECK((y[0] == 0 && y[1] == 200 && std::fabs(y[2]) < T(1e-36) && y[3] == 0 && y[4] == largest && y[5] == 0));
    CHECK((y[6] == infinity && std::isnan(y[7]) && std::isnan(y[8])));
  });
}

TEST_CASE("swiglu is within 3 ulp of silu for gates from -87 on, and within 4e-43 below") {
  for_each_arch([](auto& exec) {
    std::vector<float> gate, ones, want, y;
    for (float x = -110; x < 110; x += 0.0031f) gate.push_back(x);
    ones.assign(gate.size(), 1);
    y.resize(gate.size());
    const auto n = static_cast<index_t>(gate.size());
    swiglu(exec,
           swiglu_inputs<float>{.gate = view<const float, 3>(gate.data(), {1, 1, n}),
                                .up = view<const float, 3>(ones.data(), {1, 1, n})},
           view<float, 3>(y.data(), {1, 1, n}));
    double ulps = 0, below = 0;
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double exact = gate[i] / (1 + std::exp(-static_cast<double>(gate[i])));
      const double error = std::fabs(static_cast<double>(y[i]) - exact);
      if (gate[i] >= -87)
        ulps = std::fmax(ulps, error / float_ulp(exact));
      else
        below = std::fmax(below, error);
    }
    CHECK(ulps <= 3);
    CHECK(below <= 4e-43);
  });
}

TEST_CASE("swiglu may write onto gate or onto up") {
  check_in_place(problems(), run_onto<target::gate>);
  check_in_place(problems(), run_onto<target::up>);
}

TEST_CASE("swiglu does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 8, .N = 129}, run);
}

TEST_CASE("swiglu in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems(), {.B = 3, .T = 40, .H = 8, .N = 129}, run);
}

TEST_CASE("swiglu names the operand that is wrong and writes nothing") {
  tensor<float, 3> gate({2, 3, 4}), up = gate, y = gate;
  const auto refuses = [&](const char* text, view<const float, 3> g, view<const float, 3> u, view<float, 3> y_) {
    const swiglu_inputs<float> in{.gate = g, .up = u};
    check_refused(text, validate_swiglu(in, y_), [&](auto& exec) { swiglu(exec, in, y_); });
    CHECK((gate.untouched() && up.untouched() && y.untouched()));
  };
  refuses("rwkv7::swiglu: up axis F: got 3, want 4", gate, resized(up.in(), 2, 3), y.out());
  refuses("rwkv7::swiglu: y axis T: got 2, want 3", gate, up, resized(y.out(), 1, 2));
  refuses("rwkv7::swiglu: gate: not given", absent(gate), up, y.out());
  refuses("rwkv7::swiglu: up: not given", gate, {}, y.out());
  refuses("rwkv7::swiglu: y: not given", gate, up, {});
  refuses("rwkv7::swiglu: gate axis F: got stride 2, want 1", every_second(gate.in()), up, y.out());
  refuses("rwkv7::swiglu: y axis F: got stride 2, want 1", gate, up, every_second(y.out()));
  refuses("rwkv7::swiglu: y overlaps gate", slice(gate.in(), 1, 0, 2), slice(up.in(), 1, 0, 2),
          slice(gate.out(), 1, 1, 2));
  refuses("rwkv7::swiglu: y overlaps up", gate, reversed(y.in(), 1), y.out());
  refuses("rwkv7::swiglu: y axis 1: stride 0 cannot be written (a broadcast tensor is read only)", gate, up,
          view<float, 3>(y.out().data(), {2, 3, 4}, {12, 0, 1}));
}
