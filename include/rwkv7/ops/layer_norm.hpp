// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/layer_norm.hpp"
#include "rwkv7/backend/reference/layer_norm.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/layer_norm.hpp"

namespace rwkv7 {

/// What is wrong with a call of layer_norm, or nothing.
template <class T>
diagnosis validate_layer_norm(const layer_norm_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), C = in.x.extent(2);
  return checker("layer_norm")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", C}})
      .operand("weight", in.weight, {{"C", C}})
      .operand("bias", in.bias, {{"C", C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", C}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .disjoint("y", y, "weight", in.weight)
      .disjoint("y", y, "bias", in.bias)
      .result();
}

/// Layer normalisation of every token.
///
///   y = (x - mean(x)) / sqrt(var(x) + eps) ⊙ weight + bias          var divides by C
///
///   x            [B, T, C]  read
///   weight bias  [C]  read; f32, f16 or bf16
///   y            [B, T, C]  overwritten; may be x itself
///
/// Errors: rwkv7::error before anything is written. Cost: about 8 C flops per token. Allocates nothing.
/// Exactness: two passes; a token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void layer_norm(Exec&& exec, const layer_norm_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_layer_norm(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(layer_norm_kernel(a...)) { layer_norm_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
