// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of rms_norm.
template <class T>
struct rms_norm_inputs {
  view<const T, 4> x = detail::missing<T, "x">();      // [B, T, H, N]; split_heads(x, C) for whole tokens
  weights<1> weight = detail::missing<T, "weight">();  // [N], the same for every head
  double eps = detail::missing<T, "eps">();            // under the root; 1e-6 in Qwen, 1e-5 in Llama
};

}  // namespace rwkv7
