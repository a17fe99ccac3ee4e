// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of linear.
template <class T>
struct linear_inputs {
  view<const T, 3> x = detail::missing<T, "x">();      // [B, T, in]
  weights<2> weight = detail::missing<T, "weight">();  // [out, in]
  weights<1> bias{};                                   // [out], or absent
};

}  // namespace rwkv7
