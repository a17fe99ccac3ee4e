// SPDX-License-Identifier: MIT
#include "rwkv7/ops/repeat_kv.hpp"

#include <doctest/doctest.h>

#include "support/refused.hpp"
#include "support/tokenwise.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 4> x({p.B, p.T, p.H_kv, p.N}, p.how), y({p.B, p.T, p.H, p.N}, p.how);
  p.fill(x, "x");
  for (const auto& at : pieces(p)) repeat_kv(exec, repeat_kv_inputs<T>{.x = at.in(x)}, at.out(y));
  return collect<T>(y);
};

outputs<double> formula(const problem& p) {
  const auto x = pattern("x", p.B * p.T * p.H_kv * p.N, 0, unit_scale);
  std::vector<double> y;
  for (index_t head = 0; head < p.B * p.T * p.H_kv; ++head)
    for (index_t copy = 0; copy < p.H / p.H_kv; ++copy)
      y.insert(y.end(), x.begin() + head * p.N, x.begin() + (head + 1) * p.N);
  return {y};
}

}  // namespace

TEST_CASE("repeat_kv copies every group once for each of its heads, exactly, on every executor") {
  for (const auto& p : problems_with_heads()) {
    INFO(p.text());
    for_each_executor([&](auto& exec, auto zero) { CHECK(max_abs(run(exec, p, zero)[0], formula(p)[0]) == 0); });
  }
}

TEST_CASE("repeat_kv does not depend on threads, neighbours or cuts") {
  check_determinism({.B = 3, .T = 40, .H = 8, .H_kv = 4, .N = 129}, run);
}

TEST_CASE("repeat_kv in bf16 and f16 is that of float, rounded once; in double that of the reference executor") {
  check_other_types(problems_with_heads(), {.B = 3, .T = 40, .H = 8, .H_kv = 4, .N = 129}, run);
}

TEST_CASE("repeat_kv names the operand that is wrong and writes nothing") {
  tensor<float, 4> x({2, 3, 2, 4}), y({2, 3, 4, 4});
  const auto refuses = [&](const char* text, view<const float, 4> x_, view<float, 4> y_) {
    const repeat_kv_inputs<float> in{.x = x_};
    check_refused(text, validate_repeat_kv(in, y_), [&](auto& exec) { repeat_kv(exec, in, y_); });
    CHECK((x.untouched() && y.untouched()));
  };
  refuses("rwkv7::repeat_kv: y axis N: got 3, want 4", x, resized(y.out(), 3, 3));
  refuses("rwkv7::repeat_kv: y axis T: got 2, want 3", x, resized(y.out(), 1, 2));
  refuses("rwkv7::repeat_kv: x heads: got 2, want a divisor of H = 3", x, resized(y.out(), 2, 3));
  refuses("rwkv7::repeat_kv: x: not given", absent(x), y.out());
  refuses("rwkv7::repeat_kv: y: not given", x, {});
  refuses("rwkv7::repeat_kv: x axis N: got stride 2, want 1", every_second(x.in()), y.out());
  refuses("rwkv7::repeat_kv: y axis N: got stride 2, want 1", x, every_second(y.out()));
  refuses("rwkv7::repeat_kv: y overlaps x", slice(y.in(), 2, 1, 2), y.out());
  refuses("rwkv7::repeat_kv: y axis 2: stride 0 cannot be written (a broadcast tensor is read only)", x,
          view<float, 4>(y.out().data(), {2, 3, 4, 4}, {48, 16, 0, 1}));
}
