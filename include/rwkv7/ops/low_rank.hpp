// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/low_rank.hpp"
#include "rwkv7/backend/reference/low_rank.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7 {

/// What is wrong with a call of low_rank, or nothing.
template <class T>
diagnosis validate_low_rank(const low_rank_inputs<T>& in, const low_rank_outputs<T>& out) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), rank = in.weight.in.extent(1);
  checker check("low_rank");
  check.operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", in.x.extent(2)}})
      .operand("weight.in", in.weight.in, {{"C", in.x.extent(2)}, {"rank", rank}})
      .operand("weight.out", in.weight.out, {{"rank", rank}, {"D", in.weight.out.extent(1)}})
      .operand("hidden", out.hidden, {{"B", B}, {"T", tokens}, {"rank", rank}})
      .operand("y", out.y, {{"B", B}, {"T", tokens}, {"D", in.weight.out.extent(1)}})
      .writable("hidden", out.hidden)
      .writable("y", out.y)
      .disjoint("hidden", out.hidden, "x", in.x)
      .disjoint("y", out.y, "x", in.x)
      .disjoint("y", out.y, "hidden", out.hidden)
      .disjoint("hidden", out.hidden, "weight.in", in.weight.in)
      .disjoint("hidden", out.hidden, "weight.out", in.weight.out)
      .disjoint("hidden", out.hidden, "weight.bias", in.weight.bias)
      .disjoint("y", out.y, "weight.out", in.weight.out)
      .disjoint("y", out.y, "weight.bias", in.weight.bias);
  if (in.weight.bias) check.operand("weight.bias", in.weight.bias, {{"D", in.weight.out.extent(1)}});
  return check.result();
}

/// A map of low rank: what RWKV-7 makes its decay, learning rate, value mix and gate with.
///
///   hidden = inner(x M_in)
///   y      = outer(bias + hidden M_out)
///
///   x            [B, T, C]  read
///   weight.in    [C, rank], weight.out [rank, D], weight.bias [D] or absent  read; f32, f16 or bf16
///   hidden       [B, T, rank]  overwritten; scratch, or kept for a backward pass
///   y            [B, T, D]  overwritten; must not overlap x
///
/// Errors: rwkv7::error before anything is written. Cost: 2 rank (C + D) flops per token. Allocates nothing.
/// Exactness: as linear, hidden and y rounded once each; tanh within 1.5 ulp and sigmoid within 2.5 (cpu).
template <executor Exec, class T>
void low_rank(Exec&& exec, const low_rank_inputs<T>& in, const std::type_identity_t<low_rank_outputs<T>>& out) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_low_rank(in, out); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(low_rank_kernel(a...)) { low_rank_kernel(a...); }, exec, in, out);
}

}  // namespace rwkv7
