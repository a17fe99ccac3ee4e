// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of squared_relu.
template <class T>
struct squared_relu_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, F]
};

}  // namespace rwkv7
