// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// That of every LayerNorm in RWKV-LM.
inline constexpr double layer_norm_eps = 1e-5;

/// Operands of layer_norm.
template <class T>
struct layer_norm_inputs {
  view<const T, 3> x = detail::missing<T, "x">();      // [B, T, C]
  weights<1> weight = detail::missing<T, "weight">();  // [C]
  weights<1> bias = detail::missing<T, "bias">();      // [C]
  double eps = layer_norm_eps;                         // under the root
};

}  // namespace rwkv7
