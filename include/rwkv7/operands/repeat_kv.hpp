// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of repeat_kv.
template <class T>
struct repeat_kv_inputs {
  view<const T, 4> x = detail::missing<T, "x">();  // [B, T, H_kv, N]
};

}  // namespace rwkv7
