// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/residual_add.hpp"
#include "rwkv7/backend/reference/residual_add.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/residual_add.hpp"

namespace rwkv7 {

/// What is wrong with a call of residual_add, or nothing.
template <class T>
diagnosis validate_residual_add(const residual_add_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), C = in.x.extent(2);
  return checker("residual_add")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", C}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .result();
}

/// The residual connection around a block.
///
///   y += scale · x
///
///   x   [B, T, C]  read
///   y   [B, T, C]  accumulated into; must not overlap x
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: elementwise (D1–D4 bitwise).
template <executor Exec, class T>
void residual_add(Exec&& exec, const residual_add_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_residual_add(in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(residual_add_kernel(a...)) { residual_add_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
