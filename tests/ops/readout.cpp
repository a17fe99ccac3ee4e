// SPDX-License-Identifier: MIT
#include "rwkv7/ops/readout.hpp"

#include <doctest/doctest.h>
#include <cmath>

#include "rwkv7/ops/bonus.hpp"
#include "rwkv7/ops/gate.hpp"
#include "rwkv7/ops/group_norm.hpp"
#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// Parameters, and which heads k and v have.
struct operands {
  index_t H_v;
  parameter<1> weight, bias;
  parameter<2> r_k;
  explicit operands(const problem& p)
      : H_v(p.N % 2 == 0 ? p.H_kv : p.H),
        weight({p.channels()}, p.type, "weight", 1, 0.5f),
        bias({p.channels()}, p.type, "bias", 0, 0.5f),
        r_k({p.H, p.N}, p.type, "r_k", 0, 1, layout::padded) {}
};

template <class T>
struct activations {
  operands o;
  tensor<T, 4> x, r, g, k, v;
  explicit activations(const problem& p)
      : o(p),
        x({p.B, p.T, p.H, p.N}, p.how),
        r(x),
        g(x),
        k({p.B, p.T, p.H_kv, p.N}, p.how),
        v({p.B, p.T, o.H_v, p.N}, p.how) {
    p.fill(x, "x", 0.3f, 2);
    p.fill(r, "r");
    p.fill(k, "k");
    p.fill(v, "v");
    p.fill(g, "g");
  }
};

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  activations<T> z(p);
  tensor<T, 4> y({p.B, p.T, p.H, p.N}, p.how);
  auto& to = p.in_place ? z.x : y;
  for (const auto& at : pieces(p))
    readout(exec,
            readout_inputs<T>{.x = at.in(z.x),
                              .weight = z.o.weight,
                              .bias = z.o.bias,
                              .r = at.in(z.r),
                              .k = at.in(z.k),
                              .v = at.in(z.v),
                              .r_k = z.o.r_k,
                              .g = at.in(z.g)},
            at.out(to));
  return collect<T>(to);
};

outputs<double> formula(const problem& p) {
  const operands o(p);
  const index_t tokens = p.B * p.T;
  const auto values = [&](const char* name, index_t H) { return pattern(name, tokens * H * p.N, 0, unit_scale); };
  const auto x = pattern("x", tokens * p.channels(), 0.3f, 2);
  const auto r = values("r", p.H), k = values("k", p.H_kv), v = values("v", o.H_v), g = values("g", p.H);
  std::vector<double> y;
  for (index_t head = 0; head < tokens * p.H; ++head) {
    const index_t t = head / p.H, h = head % p.H, first = head * p.N;
    const index_t key = (t * p.H_kv + h * p.H_kv / p.H) * p.N, value = (t * o.H_v + h * o.H_v / p.H) * p.N;
    const auto at = [](const auto& all, index_t i) {
      return static_cast<long double>(all[static_cast<std::size_t>(i)]);
    };
    long double sum = 0, squares = 0, bonus = 0;
    for (index_t n = 0; n < p.N; ++n) {
      sum += at(x, first + n);
      squares += at(x, first + n) * at(x, first + n);
      bonus += at(r, first + n) * at(k, key + n) * static_cast<long double>(o.r_k[h * p.N + n]);
    }
    const long double mean = sum / p.N, deviation = std::sqrt(squares / p.N - mean * mean + 64e-5L);
    for (index_t n = 0; n < p.N; ++n) {
      const long double norm = (at(x, first + n) - mean) / deviation * static_cast<long double>(o.weight[h * p.N + n]) +
                               static_cast<long double>(o.bias[h * p.N + n]);
      y.push_back(static_cast<double>((norm + bonus * at(v, value + n)) * at(g, first + n)));
    }
  }
  return {y};
}

}  // namespace

TEST_CASE("readout is the norm of every head, the bonus and the gate") {
  check_definition(problems_with_heads(), run, formula);
  check_rounded_once(problems_with_heads(), run);
}

TEST_CASE("readout on a cpu is within the budget of a reduction over N") {
  check_cpu(problems_with_heads(), run, by_relative_l2, [](auto& p) { return budget::reduction(p.N); });
}

TEST_CASE("each step may be left out; those that are not give the bits of group_norm, bonus and gate in turn") {
  const problem p{.B = 2, .T = 5, .H = 4, .H_kv = 2, .N = 35, .how = layout::padded};
  for_each_cpu_executor([&](auto& exec) {
    for (int steps = 0; steps < 8; ++steps) {
      INFO("steps ", steps);
      activations<float> z(p);
      tensor<float, 4> y({p.B, p.T, p.H, p.N}, p.how), want({p.B, p.T, p.H, p.N});
      want.generate([&](index_t i) { return z.x[i]; });
      readout_inputs<float> in{.x = z.x};
      const auto channels = view<float, 3>(want.out().data(), {p.B, p.T, p.channels()});
      if (steps & 1) {
        in.weight = z.o.weight, in.bias = z.o.bias;
        group_norm(exec, group_norm_inputs<float>{.x = want, .weight = z.o.weight, .bias = z.o.bias}, want.out());
      }
      if (steps & 2) {
        in.r = z.r, in.k = z.k, in.v = z.v, in.r_k = z.o.r_k;
        bonus(exec, bonus_inputs<float>{.r = z.r, .k = z.k, .v = z.v, .r_k = z.o.r_k}, want.out());
      }
      if (steps & 4) {
        in.g = z.g;
        tensor<float, 3> g({p.B, p.T, p.channels()});
        g.generate([&](index_t i) { return z.g[i]; });
        gate(exec, gate_inputs<float>{.x = channels, .g = g}, channels);
      }
      readout(exec, in, y.out());
      CHECK(same_bits(collect<float>(y), collect<float>(want)));
    }
  });
}

TEST_CASE("without norm x is multiplied by a scale; something may be added to the gate") {
  for_each_executor([](auto& exec, auto zero) {
    using T = decltype(zero);
    const T x[] = {1, 2, 3, 4}, g[] = {0, 1, -1, 0.5};
    T y[4] = {};
    const auto head = [](auto* at) { return view<std::remove_pointer_t<decltype(at)>, 4>(at, {1, 1, 1, 4}); };
    readout(exec, readout_inputs<T>{.x = head(x), .scale = 0.5, .g = head(g), .gate_offset = 1}, head(y));
    CHECK(std::vector<T>(y, y + 4) == std::vector<T>{0.5, 2, 0, 3});
  });
}

TEST_CASE("readout in place gives the bits of out of place") { check_in_place(problems_with_heads(), run); }

TEST_CASE("readout does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("readout in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 2, .N = 129}, run);
}

TEST_CASE("readout names the operand that is wrong or missing and writes nothing") {
  tensor<float, 4> x({2, 3, 4, 8}), k({2, 3, 2, 8}), v({2, 3, 1, 8}), r = x, g = x, y = x;
  tensor<float, 2> r_k({4, 8});
  tensor<float, 1> weight({32}), bias({32});
  const auto refuses = [&](const char* text, auto change, view<float, 4> y_) {
    readout_inputs<float> in{
        .x = x, .weight = weight.in(), .bias = bias.in(), .r = r, .k = k, .v = v, .r_k = r_k.in(), .g = g};
    change(in);
    check_refused(text, validate_readout(in, y_), [&](auto& exec) { readout(exec, in, y_); });
    CHECK((x.untouched() && r.untouched() && k.untouched() && v.untouched() && g.untouched() && y.untouched()));
  };
  const auto none = [](auto&) {};
  refuses(
      "rwkv7::readout: x: not given", [](auto& in) { in.x = {}; }, y.out());
  refuses("rwkv7::readout: y: not given", none, {});
  refuses(
      "rwkv7::readout: weight: not given", [](auto& in) { in.weight = {}; }, y.out());
  refuses(
      "rwkv7::readout: bias: not given", [](auto& in) { in.bias = {}; }, y.out());
  refuses(
      "rwkv7::readout: r: not given", [](auto& in) { in.r = {}; }, y.out());
  refuses(
      "rwkv7::readout: k: not given", [](auto& in) { in.k = {}; }, y.out());
  refuses(
      "rwkv7::readout: v: not given", [](auto& in) { in.v = {}; }, y.out());
  refuses(
      "rwkv7::readout: r_k: not given", [](auto& in) { in.r_k = {}; }, y.out());
  refuses(
      "rwkv7::readout: weight axis H N: got 31, want 32", [&](auto& in) { in.weight = resized(weight.in(), 0, 31); },
      y.out());
  refuses(
      "rwkv7::readout: r axis T: got 2, want 3", [&](auto& in) { in.r = resized(in.r, 1, 2); }, y.out());
  refuses(
      "rwkv7::readout: g axis H: got 3, want 4", [&](auto& in) { in.g = resized(in.g, 2, 3); }, y.out());
  refuses(
      "rwkv7::readout: k heads: got 3, want a divisor of H = 4", [&](auto& in) { in.k = resized(in.r, 2, 3); },
      y.out());
  refuses(
      "rwkv7::readout: v heads: got 3, want a divisor of H = 4", [&](auto& in) { in.v = resized(in.r, 2, 3); },
      y.out());
  refuses("rwkv7::readout: y axis N: got 7, want 8", none, resized(y.out(), 3, 7));
  refuses("rwkv7::readout: y overlaps r", none, r.out());
  refuses(
      "rwkv7::readout: y overlaps k", [&](auto& in) { in.k = slice(y.in(), 2, 1, 2); }, y.out());
  refuses(
      "rwkv7::readout: y overlaps v", [&](auto& in) { in.v = slice(y.in(), 2, 3, 1); }, y.out());
}
