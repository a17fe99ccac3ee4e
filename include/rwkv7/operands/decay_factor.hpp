// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/missing.hpp"

namespace rwkv7 {

/// Operands of decay_factor.
template <class T>
struct decay_factor_inputs {
  decay<T> w = detail::missing<T, "w">();  // [B, T, H, N] and the form it is in
};

}  // namespace rwkv7
