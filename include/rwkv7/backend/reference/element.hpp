// SPDX-License-Identifier: MIT
/// From double back to the element type of an operand.
#pragma once

#include "rwkv7/core/dtype.hpp"

namespace rwkv7::backend::reference {

/// Rounded once, also where that goes by way of a float: one that has lost digits is made odd, so that it lies on the
/// same side of every tie as x does.
template <class T>
T rounded(double x) noexcept {
  if constexpr (half_element<T>) {
    const auto nearest = static_cast<float>(x);
    const auto back = static_cast<double>(nearest);
    if (back == x || x != x) return T::from_float(nearest);
    const auto bits = __builtin_bit_cast(std::uint32_t, nearest);
    const bool away = x < 0 ? back < x : back > x;
    return T::from_float(__builtin_bit_cast(float, (away ? bits - 1 : bits) | 1u));
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace rwkv7::backend::reference
