// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/first_residual.hpp"
#include "rwkv7/backend/reference/first_residual.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/first_residual.hpp"

namespace rwkv7 {

/// What is wrong with a call of first_residual, or nothing.
template <class T>
diagnosis validate_first_residual(const first_residual_inputs<T>& in,
                                  const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), D = in.x.extent(2);
  return checker("first_residual")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"D", D}})
      .operand("first", in.first, {{"B", B}, {"T", tokens}, {"D", D}})
      .operand("mix", in.mix, {{"B", B}, {"T", tokens}, {"D", D}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"D", D}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "first", in.first)
      .same_or_disjoint("y", y, "mix", in.mix)
      .result();
}

/// A residual towards the first layer's values (v_first), gated per channel.
///
///   y = x + (first - x) ⊙ σ(mix)
///
///   x first mix   [B, T, D]  read; mix before its sigmoid
///   y             [B, T, D]  overwritten; may be x or mix itself, must not overlap first
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: elementwise (D1–D4 bitwise).
template <executor Exec, class T>
void first_residual(Exec&& exec, const first_residual_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_first_residual(in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(first_residual_kernel(a...)) { first_residual_kernel(a...); }, exec, in,
                    y);
}

}  // namespace rwkv7
