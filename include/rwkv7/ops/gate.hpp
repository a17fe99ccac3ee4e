// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/gate.hpp"
#include "rwkv7/backend/reference/gate.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/gate.hpp"

namespace rwkv7 {

/// What is wrong with a call of gate, or nothing.
template <class T>
diagnosis validate_gate(const gate_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), D = in.x.extent(2);
  return checker("gate")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"D", D}})
      .operand("g", in.g, {{"B", B}, {"T", tokens}, {"D", D}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"D", D}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .same_or_disjoint("y", y, "g", in.g)
      .result();
}

/// The output gate.
///
///   y = x ⊙ g
///
///   x g   [B, T, D]  read
///   y     [B, T, D]  overwritten; may be x or g itself
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: elementwise (D1–D4 bitwise).
template <executor Exec, class T>
void gate(Exec&& exec, const gate_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_gate(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(gate_kernel(a...)) { gate_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
