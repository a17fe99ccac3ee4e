// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/squared_relu.hpp"
#include "rwkv7/backend/reference/squared_relu.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/squared_relu.hpp"

namespace rwkv7 {

/// What is wrong with a call of squared_relu, or nothing.
template <class T>
diagnosis validate_squared_relu(const squared_relu_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), F = in.x.extent(2);
  return checker("squared_relu")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"F", F}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"F", F}})
      .writable("y", y)
      .same_or_disjoint("y", y, "x", in.x)
      .result();
}

/// The activation of channel-mix.
///
///   y = max(x, 0)²
///
///   x   [B, T, F]  read
///   y   [B, T, F]  overwritten; may be x itself
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: elementwise; NaN stays NaN.
template <executor Exec, class T>
void squared_relu(Exec&& exec, const squared_relu_inputs<T>& in, std::type_identity_t<view<T, 3>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_squared_relu(in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(squared_relu_kernel(a...)) { squared_relu_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
