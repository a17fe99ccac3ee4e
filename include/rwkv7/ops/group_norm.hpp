// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/group_norm.hpp"
#include "rwkv7/backend/reference/group_norm.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/group_norm.hpp"

namespace rwkv7 {

/// What is wrong with a call of group_norm, or nothing.
template <class T>
diagnosis validate_group_norm(const group_norm_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), H = in.x.extent(2), N = in.x.extent(3);
  return checker("group_norm")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("weight", in.weight, {{"H N", H * N}})
      .operand("bias", in.bias, {{"H N", H * N}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "weight", in.weight)
      .disjoint("y", y, "bias", in.bias)
      .result();
}

/// Normalisation of every head of every token; the readout norm of time-mix (ln_x).
///
///   y_h = (x_h - mean(x_h)) / sqrt(var(x_h) + eps) ⊙ weight_h + bias_h          var divides by N
///
///   x            [B, T, H, N]  read
///   weight bias  [H N]  read; f32, f16 or bf16
///   y            [B, T, H, N]  overwritten; may be x itself
///
/// Errors: rwkv7::error before anything is written. Cost: about 8 N flops per head and token. Allocates nothing.
/// Exactness: two passes; a token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void group_norm(Exec&& exec, const group_norm_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_group_norm(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(group_norm_kernel(a...)) { group_norm_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
