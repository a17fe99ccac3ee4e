// SPDX-License-Identifier: MIT
// rwkv7-test: kernels of all types
// rwkv7-test: not sanitized
// Kernels chosen at run time, for operands in bf16, f16 and double.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "rwkv7/exec/dispatch.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/low_rank.hpp"
#include "rwkv7/ops/token_shift.hpp"
#include "support/recurrence.hpp"

using namespace rwkv7;
using namespace rwkv7_test;

namespace {

/// y of linear, low_rank and token_shift, and the state of the last.
constexpr auto run = [](auto& exec, const problem& p, auto zero) {
  using T = decltype(zero);
  tensor<T, 3> x({p.B, p.T, p.N}), y({p.B, p.T, p.out}), hidden({p.B, p.T, p.rank}), z = y, shifted = x;
  tensor<compute_type<T>, 2> S({p.B, p.N});
  p.fill(x, "x");
  fill(S, "S");
  const parameter<2> weight({p.out, p.N}, dtype::bf16, "weight", 0, 1);
  const parameter<2> in({p.N, p.rank}, dtype::f16, "in", 0, 1), out({p.rank, p.out}, dtype::f32, "out", 0, 1);
  const parameter<1> mix({p.N}, dtype::f32, "mix", 0.5f, 0.5f);
  linear(exec, linear_inputs<T>{.x = x, .weight = weight}, y.out());
  low_rank(exec, low_rank_inputs<T>{.x = x, .weight = {.in = in, .out = out}, .inner = activation::tanh},
           {.hidden = hidden.out(), .y = z.out()});
  token_shift(exec, dense{p.B, p.T}, token_shift_inputs<T, 1>{.x = x, .mix = {mix}}, {.y = {shifted.out()}},
              {.initial = S.in(), .final = S.out()});
  return collect<T>(y, z, shifted, S);
};

template <class T>
double allowed() {
  if constexpr (half_element<T>)
    return 3 * budget::stored<T>;
  else
    return std::is_same_v<T, double> ? budget::in_double : budget::other_flags;
}

}  // namespace

TEST_CASE_TEMPLATE("operations give in every unit what the reference executor gives", T, float, double, bf16, f16) {
  reference_executor reference;
  const problem p{.B = 2, .T = 9, .N = 67, .out = 41, .rank = 13};
  const auto want = run(reference, p, T{});
  const auto q = made_up({.B = 2, .T = 41, .H = 4, .H_k = 2, .H_v = 1, .N = 64});
  const auto want_q = run_wkv7(reference, q, T{});
  std::size_t units = 0;
  for (const auto& unit : dispatch_units()) {
    if (!unit.usable) continue;
    ++units;
    CAPTURE(std::string(unit.name));
    const dispatch_executor<> exec(unit.name);
    check_close(p, run(exec, p, T{}), want, by_relative_l2, allowed<T>());
    check_recurrence_close(run_wkv7(exec, q, T{}), want_q, allowed<T>());
    if constexpr (half_element<T>)
      check_recurrence_close(run_wkv7_on_state_of<T>(exec, q, T{}), run_wkv7_on_state_of<T>(reference, q, T{}),
                             allowed<T>());
  }
  CHECK(units > 0);
}
