// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of a token shift with `Mixes` mixing vectors (six in time-mix, one in channel-mix).
template <class T, std::size_t Mixes>
struct token_shift_inputs {
  view<const T, 3> x = detail::missing<T, "x">();                     // [B, T, C]
  inline_array<weights<1>, Mixes> mix = detail::missing<T, "mix">();  // [C] each
};

/// One output for each mixing vector.
template <class T, std::size_t Mixes>
struct token_shift_outputs {
  inline_array<view<T, 3>, Mixes> y = detail::missing<T, "y">();  // [B, T, C] each
};

}  // namespace rwkv7
