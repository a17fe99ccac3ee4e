// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of first_residual.
template <class T>
struct first_residual_inputs {
  view<const T, 3> x = detail::missing<T, "x">();          // [B, T, D]
  view<const T, 3> first = detail::missing<T, "first">();  // [B, T, D]  x of the first layer
  view<const T, 3> mix = detail::missing<T, "mix">();      // [B, T, D]  logits
};

}  // namespace rwkv7
