// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of first_residual.
template <class T>
struct first_residual_inputs {
  view<const T, 4> x = detail::missing<T, "x">();          // [B, T, H_x, N]
  view<const T, 4> first = detail::missing<T, "first">();  // [B, T, H_x, N]  x of the first layer
  view<const T, 4> mix = detail::missing<T, "mix">();      // [B, T, H, N]  logits
};

}  // namespace rwkv7
