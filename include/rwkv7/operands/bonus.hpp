// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of bonus.
template <class T>
struct bonus_inputs {
  view<const T, 4> r = detail::missing<T, "r">();  // [B, T, H, N]
  view<const T, 4> k = detail::missing<T, "k">();  // [B, T, H_k, N]
  view<const T, 4> v = detail::missing<T, "v">();  // [B, T, H_v, N]
  weights<2> r_k = detail::missing<T, "r_k">();    // [H, N]
};

}  // namespace rwkv7
