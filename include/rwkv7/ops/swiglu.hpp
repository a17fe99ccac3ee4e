// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/swiglu.hpp"
#include "rwkv7/backend/reference/swiglu.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/swiglu.hpp"

namespace rwkv7 {

/// What is wrong with a call of swiglu, or nothing.
template <class T>
diagnosis validate_swiglu(const swiglu_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.gate.extent(0), tokens = in.gate.extent(1), F = in.gate.extent(2);
  return checker("swiglu")
      .operand("gate", in.gate, {{"B", B}, {"T", tokens}, {"F", F}})
      .operand("up", in.up, {{"B", B}, {"T", tokens}, {"F", F}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"F", F}})
      .writable("y", y)
      .same_or_disjoint("y", y, "gate", in.gate)
      .same_or_disjoint("y", y, "up", in.up)
      .result();
}

/// The activation of a gated feed-forward layer: Llama's, Qwen's.
///
///   y = silu(gate) ⊙ up          silu(x) = x / (1 + exp(-x))
///
///   gate up   [B, T, F]  read; of a fused product [B, T, 2 F]: slice(p, 2, 0, F), slice(p, 2, F, F)
///   y         [B, T, F]  overwritten; may be gate or up itself
///
/// Errors: rwkv7::error before anything is written. Cost: about 25 flops per element. Allocates nothing.
/// Exactness: elementwise (D1–D4 bitwise). In float on a cpu silu is within 3 ulp for gates from -87 on; below, where
/// it is smaller than 1.5e-36, within 4e-43. Not a number for a gate of -inf.
template <executor Exec, class T>
void swiglu(Exec&& exec, const swiglu_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_swiglu(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(swiglu_kernel(a...)) { swiglu_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
