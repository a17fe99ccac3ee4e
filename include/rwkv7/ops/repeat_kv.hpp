// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/repeat_kv.hpp"
#include "rwkv7/backend/reference/repeat_kv.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/repeat_kv.hpp"

namespace rwkv7 {

/// What is wrong with a call of repeat_kv, or nothing.
template <class T>
diagnosis validate_repeat_kv(const repeat_kv_inputs<T>& in, const std::type_identity_t<view<T, 4>>& y) noexcept {
  const index_t B = in.x.extent(0), tokens = in.x.extent(1), H_kv = in.x.extent(2), N = in.x.extent(3);
  return checker("repeat_kv")
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"H_kv", H_kv}, {"N", N}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"H", y.extent(2)}, {"N", N}})
      .grouped("x", y.extent(2), H_kv)
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .result();
}

/// Grouped heads copied out, one for each head. No operation of this library needs it: they index the group. It is for
/// callers who want the copy.
///
///   y_h = x_{h / (H / H_kv)}
///
///   x   [B, T, H_kv, N]  read
///   y   [B, T, H, N]  overwritten; must not overlap x
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: exact.
template <executor Exec, class T>
void repeat_kv(Exec&& exec, const repeat_kv_inputs<T>& in, std::type_identity_t<view<T, 4>> y) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_repeat_kv(in, y); })) return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(repeat_kv_kernel(a...)) { repeat_kv_kernel(a...); }, exec, in, y);
}

}  // namespace rwkv7
