// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/key_rule.hpp"
#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// Operands of key_update.
template <class T>
struct key_update_inputs {
  view<const T, 4> k = detail::missing<T, "k">();      // [B, T, H_kv, N]  projected keys
  view<const T, 4> eta = detail::missing<T, "eta">();  // [B, T, H, N]  in-context learning rate ("a")
  weights<1> k_k{};                                    // [H_kv N] or [H N], or absent: 1
  weights<1> k_a{};                                    // [H N], for the rule k_a
  key_rule rule = key_rule::k_a;                       // says which of k_a and w is wanted
  view<const T, 4> w{};                                // [B, T, H, N]  logits of the decay, for the others
  decay_offset offset = decay_offset::half;            // c of those logits
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
