// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of gate.
template <class T>
struct gate_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, D]
  view<const T, 3> g = detail::missing<T, "g">();  // [B, T, D]
};

}  // namespace rwkv7
