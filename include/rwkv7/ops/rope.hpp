// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/rope.hpp"
#include "rwkv7/backend/reference/rope.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/rope.hpp"

namespace rwkv7 {

/// What is wrong with a call of rope, or nothing.
template <class T>
diagnosis validate_rope(const rope_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), H = in.x.extent(2), N = in.x.extent(3);
  return checker("rope")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .require(N % 2 == 0, "head size N", N, "an even number")
      .operand("cos", in.cos, {{"B", B}, {"T", tokens}, {"N / 2", N / 2}})
      .operand("sin", in.sin, {{"B", B}, {"T", tokens}, {"N / 2", N / 2}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "cos", in.cos)
      .disjoint("y", y, "sin", in.sin)
      .result();
}

/// Rotary position embedding in the half-split form of Llama and GPT-NeoX ("rotate_half"): channel i turns with
/// channel i + N / 2.
///
///   y_i           = x_i cos_i - x_{i + N / 2} sin_i
///   y_{i + N / 2} = x_{i + N / 2} cos_i + x_i sin_i          for i in [0, N / 2)
///
///   x         [B, T, H, N]  read; N even
///   cos sin   [B, T, N / 2]  read, the same for every head; float where T is bf16 or f16. rope_table makes them
///   y         [B, T, H, N]  overwritten; may be x itself
///
/// Of heads that turn in part, give that part: slice(x, 3, 0, R). Errors: rwkv7::error before anything is written.
/// Cost: 3 N flops per head and token. Allocates nothing.
/// Exactness: a token's result depends on nothing but the token and its angles (D1–D4 bitwise).
template <executor Exec, class T>
void rope(Exec&& exec, const rope_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_rope(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(rope_kernel(a...)) { rope_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
