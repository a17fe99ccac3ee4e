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
                                  const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.mix.extent(0), tokens = in.mix.extent(1), H = in.mix.extent(2), N = in.mix.extent(3);
  const index_t H_x = in.x.extent(2);
  return checker("first_residual")
      .operand("mix", in.mix, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"H_x", H_x}, {"N", N}})
      .operand("first", in.first, {{"B", B}, {"T", tokens}, {"H_x", H_x}, {"N", N}})
      .grouped("x", H, H_x)
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "first", in.first)
      .same_or_disjoint("y", y, "mix", in.mix)
      .result();
}

/// A residual towards what the first layer has (v_first, k_first), gated per channel.
///
///   y = x + (first - x) ⊙ σ(mix)
///
///   x first   [B, T, H_x, N]  read; head h of y uses theirs of h / (H / H_x)
///   mix       [B, T, H, N]  read; before its sigmoid
///   y         [B, T, H, N]  overwritten; may be mix itself or, where H_x is H, x; must not overlap first
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: elementwise (D1–D4 bitwise).
template <executor Exec, class T>
void first_residual(Exec&& exec, const first_residual_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_first_residual(in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(first_residual_kernel(a...)) { first_residual_kernel(a...); }, exec, in,
                    y);
}

}  // namespace rwkv7
