// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of rope.
template <class T>
struct rope_inputs {
  view<const T, 4> x = detail::missing<T, "x">();                    // [B, T, H, N]  queries or keys
  view<const compute_type<T>, 3> cos = detail::missing<T, "cos">();  // [B, T, N / 2]  of rope_table, or your own
  view<const compute_type<T>, 3> sin = detail::missing<T, "sin">();  // [B, T, N / 2]
};

}  // namespace rwkv7
