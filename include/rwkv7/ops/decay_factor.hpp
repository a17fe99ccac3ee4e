// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/decay_factor.hpp"
#include "rwkv7/backend/reference/decay_factor.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/decay_factor.hpp"

namespace rwkv7 {

/// What is wrong with a call of decay_factor, or nothing.
template <class T>
diagnosis validate_decay_factor(const decay_factor_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const auto& w = in.w.values();
  const index_t B = w.extent(0), tokens = w.extent(1), H = w.extent(2), N = w.extent(3);
  return checker("decay_factor")
      .operand("w", w, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", H}, {"N", N}})
      .writable("y", y)
      .same_or_disjoint("y", y, "w", w)
      .result();
}

/// The decay as the factor that multiplies the state, from any of its forms (core/decay.hpp).
///
///   w   [B, T, H, N]  read
///   y   [B, T, H, N]  overwritten; may be the tensor of w
///
/// wkv7 does this by itself while it runs; this operation is for callers who want to see or keep the factors.
/// Errors: rwkv7::error before anything is written. Allocates nothing.
/// Exactness (cpu): within 2 ulp; loglog within 2 + 2 exp(x) ulp, since it is the exponential of a rounded one.
template <executor Exec, class T>
void decay_factor(Exec&& exec, const decay_factor_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_decay_factor(in, y); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(decay_factor_kernel(a...)) { decay_factor_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
