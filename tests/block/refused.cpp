// SPDX-License-Identifier: MIT
// rwkv7-test: dispatch
// Wrong calls of time_mix in the variants of linearised Transformers: named, and nothing is written.
#include <doctest/doctest.h>

#include "rwkv7/block/time_mix.hpp"
#include "rwkv7/exec/reference.hpp"
#include "support/compare.hpp"
#include "support/executors.hpp"
#include "support/pattern.hpp"
#include "support/refused.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// A call of cxa079 that is right; each test spoils one thing.
struct call {
  static constexpr index_t B = 1, T = 3;
  dims d{.C = 12, .H = 4, .N = 8, .H_kv = 2};
  std::vector<float> values = pattern("values", 4096, 0, 1), out = std::vector<float>(12 * 3, 5),
                     first = std::vector<float>(2 * 3 * 16, 5), S = std::vector<float>(4 * 64, 5);
  std::vector<std::byte> scratch = std::vector<std::byte>(1 << 16);
  time_mix_weights p;
  time_mix_inputs<float> in{.x = activations(12), .cos = activations(4), .sin = activations(4)};
  first_values<float> of_first;

  weights<1> vector(index_t n) const { return {values.data(), dtype::f32, {n}}; }
  weights<2> matrix(index_t rows, index_t columns) const { return {values.data(), dtype::f32, {rows, columns}}; }
  low_rank_weights low_rank(index_t width) const { return {matrix(12, 3), matrix(3, width), vector(width)}; }
  view<const float, 3> activations(index_t width) const { return {values.data(), {B, T, width}}; }

  call() {
    p.receptance = matrix(32, 12), p.key = p.value = matrix(16, 12), p.output = matrix(12, 32);
    p.receptance_bias = vector(32), p.key_bias = p.value_bias = vector(16), p.output_bias = vector(12);
    p.r_norm = p.k_norm = vector(8);
    p.w = p.a = p.g = low_rank(32), p.v = p.k = low_rank(16);
    p.r_k = matrix(4, 8);
    of_first = {.v = {first.data(), {B, T, 16}}, .k = {first.data() + 48, {B, T, 16}}};
  }
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  template <variant V = cxa079>
  void refused(const std::string& text) {
    const view<float, 3> y(out.data(), {B, T, 12});
    const view<float, 4> states(S.data(), {1, d.H, d.N, d.N});
    const time_mix_state<float> state{{}, {.initial = states, .final = states}};
    const auto run = [&](auto& exec) {
      time_mix<V>(exec, dense{B, T}, d, p, in, y, of_first, state, workspace(scratch));
    };
    const auto want = "rwkv7::time_mix: " + text;
    check_refused(want.c_str(), validate_time_mix<V>(dense{B, T}, d, p, in, y, of_first, state, workspace(scratch)),
                  run);
    for (const auto* untouched : {&out, &first, &S})
      for (const float x : *untouched) CHECK(x == 5);
  }
};

}  // namespace

TEST_CASE("what the variant needs and does not get") {
  const auto refused = [](const char* text, auto spoil) {
    call c;
    spoil(c);
    c.refused(text);
  };
  refused("cos: not given", [](call& c) { c.in.cos = {}; });
  refused("sin axis N / 2: got 12, want 4", [](call& c) { c.in.sin = c.activations(12); });
  refused("r_norm.weight: not given", [](call& c) { c.p.r_norm = {}; });
  refused("k_norm.weight axis channels: got 7, want 8", [](call& c) { c.p.k_norm = c.vector(7); });
  refused("v_first: not given", [](call& c) { c.of_first.v = {}; });
  refused("k_first: not given", [](call& c) { c.of_first.k = {}; });
  refused("k1: not given", [](call& c) { c.p.k = {}; });
  refused("k2 axis D: got 32, want 16", [](call& c) { c.p.k.out = c.matrix(3, 32); });
  refused("k_first overlaps v_first", [](call& c) { c.of_first.k = c.of_first.v; });
  refused("receptance.bias axis channels: got 31, want 32", [](call& c) { c.p.receptance_bias = c.vector(31); });
  refused("k v heads: got 3, want a divisor of H = 4", [](call& c) { c.d.H_kv = 3; });
}

TEST_CASE("heads of odd size cannot turn") {
  call c;
  c.d = {.C = 12, .H = 4, .N = 7, .H_kv = 2};
  c.p.receptance = c.matrix(28, 12), c.p.key = c.p.value = c.matrix(14, 12), c.p.output = c.matrix(12, 28);
  c.p.receptance_bias = c.p.key_bias = c.p.value_bias = c.p.output_bias = {};
  c.p.r_norm = c.p.k_norm = c.vector(7);
  c.p.w = c.p.a = c.p.g = c.low_rank(28), c.p.r_k = c.matrix(4, 7);
  c.refused("head size N: got 7, want an even number, for rope");
}

TEST_CASE("a value mix of the wrong width says which: before or after heads are repeated") {
  constexpr auto after = [] {
    variant v = cxa079;
    v.value_residual = first_mix::after_repeat;
    return v;
  }();
  call c;
  c.refused<after>("v2 axis D: got 16, want 32");
}
