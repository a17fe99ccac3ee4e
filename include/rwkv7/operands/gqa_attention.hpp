// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of gqa_attention. Query head h reads key and value head h / (H / H_kv).
template <class T>
struct gqa_attention_inputs {
  view<const T, 4> q = detail::missing<T, "q">();  // [B, T, H, N]
  view<const T, 4> k = detail::missing<T, "k">();  // [B, S, H_kv, N]
  view<const T, 4> v = detail::missing<T, "v">();  // [B, S, H_kv, N]
  double scale = detail::missing<T, "scale">();    // of the products q k; 1 / √N in published models
  index_t window = 0;                              // keys that a query sees at most, its own token's included; 0: all
};

}  // namespace rwkv7
