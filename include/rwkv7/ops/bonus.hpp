// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/bonus.hpp"
#include "rwkv7/backend/reference/bonus.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/bonus.hpp"

namespace rwkv7 {

/// What is wrong with a call of bonus, or nothing.
template <class T>
diagnosis validate_bonus(const bonus_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.r.extent(0), tokens = in.r.extent(1), H = in.r.extent(2), N = in.r.extent(3);
  return checker("bonus")
      .operand("r", in.r, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("k", in.k, {{"B", B}, {"T", tokens}, {"H_k", in.k.extent(2)}, {"N", N}})
      .operand("v", in.v, {{"B", B}, {"T", tokens}, {"H_v", in.v.extent(2)}, {"N", N}})
      .grouped("k", H, in.k.extent(2))
      .grouped("v", H, in.v.extent(2))
      .operand("r_k", in.r_k, {{"H", H}, {"N", N}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .disjoint("y", y, "r", in.r)
      .disjoint("y", y, "k", in.k)
      .disjoint("y", y, "v", in.v)
      .disjoint("y", y, "r_k", in.r_k)
      .result();
}

/// The current token's own contribution, added to the readout.
///
///   y += (Σ_j r_j k_j r_k,j) v          one scalar per head and token
///
///   r      [B, T, H, N]  read
///   k v    [B, T, H_k, N], [B, T, H_v, N]  read; head h uses head h / (H / H_k), h / (H / H_v)
///   r_k    [H, N]  read; f32, f16 or bf16
///   y      [B, T, H, N]  accumulated into; must not overlap an input
///
/// Errors: rwkv7::error before anything is written. Cost: 5 N flops per head and token. Allocates nothing.
/// Exactness: a token's result depends on nothing but the token (D1–D4 bitwise).
template <executor Exec, class T>
void bonus(Exec&& exec, const bonus_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_bonus(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(bonus_kernel(a...)) { bonus_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
