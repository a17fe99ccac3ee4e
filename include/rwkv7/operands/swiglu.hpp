// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of swiglu. Where one product gives both, gate before up, they are slices of it along the last axis.
template <class T>
struct swiglu_inputs {
  view<const T, 3> gate = detail::missing<T, "gate">();  // [B, T, F]
  view<const T, 3> up = detail::missing<T, "up">();      // [B, T, F]
};

}  // namespace rwkv7
