// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/rms_norm.hpp"
#include "rwkv7/backend/reference/rms_norm.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/rms_norm.hpp"

namespace rwkv7 {

/// What is wrong with a call of rms_norm, or nothing.
template <class T>
diagnosis validate_rms_norm(const rms_norm_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), H = in.x.extent(2), N = in.x.extent(3);
  return checker("rms_norm")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("weight", in.weight, {{"N", N}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "weight", in.weight)
      .result();
}

/// Every head of every token by its root mean square: the norm of Llama and Qwen. For whole tokens, which have one head
/// of C channels, give split_heads(x, C); with the heads of queries or keys it is their qk-norm.
///
///   y_h = x_h / sqrt(mean(x_h²) + eps) ⊙ weight
///
///   x        [B, T, H, N]  read
///   weight   [N]  read, the same for every head; f32, f16 or bf16
///   y        [B, T, H, N]  overwritten; may be x itself
///
/// eps has no default: models differ, and a wrong one does not show. Errors: rwkv7::error before anything is written.
/// Cost: about 4 N flops per head and token. Allocates nothing.
/// Exactness: y is rounded once, after the weight; a token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void rms_norm(Exec&& exec, const rms_norm_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_rms_norm(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(rms_norm_kernel(a...)) { rms_norm_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
