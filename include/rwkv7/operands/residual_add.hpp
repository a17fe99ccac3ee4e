// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of residual_add.
template <class T>
struct residual_add_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C]
  double scale = 1;                                // of x
};

}  // namespace rwkv7
