// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// 64e-5 in every RWKV-LM, rwkv.cpp and llama.cpp model, whatever the head size (flash-linear-attention: N · 1e-5).
inline constexpr double group_norm_eps = 64e-5;

/// Operands of group_norm.
template <class T>
struct group_norm_inputs {
  view<const T, 4> x = detail::missing<T, "x">();      // [B, T, H, N]
  weights<1> weight = detail::missing<T, "weight">();  // [H N]
  weights<1> bias = detail::missing<T, "bias">();      // [H N]
  double eps = group_norm_eps;                         // under the root
};

}  // namespace rwkv7
