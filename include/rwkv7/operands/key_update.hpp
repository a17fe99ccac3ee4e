// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of key_update.
template <class T>
struct key_update_inputs {
  view<const T, 4> k = detail::missing<T, "k">();      // [B, T, H_kv, N]  projected keys
  view<const T, 4> eta = detail::missing<T, "eta">();  // [B, T, H, N]  in-context learning rate ("a")
  weights<1> k_k = detail::missing<T, "k_k">();        // [H_kv N]
  weights<1> k_a = detail::missing<T, "k_a">();        // [H N]
  double eps = 1e-12;                                  // least norm divided by
};

/// What key_update writes.
template <class T>
struct key_update_outputs {
  view<T, 4> k = detail::missing<T, "k">();  // [B, T, H, N]  key that is written
  view<T, 4> a = detail::missing<T, "a">();  // [B, T, H, N]  -kk
  view<T, 4> b = detail::missing<T, "b">();  // [B, T, H, N]  kk ⊙ eta
};

}  // namespace rwkv7
