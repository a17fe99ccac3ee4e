// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of the RWKV-7 recurrence. Head h reads k of head h / (H / H_k) and v of head h / (H / H_v).
template <class T>
struct wkv7_inputs {
  view<const T, 4> r = detail::missing<T, "r">();  // [B, T, H, N]
  decay<T> w = detail::missing<T, "w">();          // [B, T, H, N] and the form it is in
  view<const T, 4> k = detail::missing<T, "k">();  // [B, T, H_k, N]
  view<const T, 4> v = detail::missing<T, "v">();  // [B, T, H_v, N]
  view<const T, 4> a = detail::missing<T, "a">();  // [B, T, H, N]  removal key, -kk
  view<const T, 4> b = detail::missing<T, "b">();  // [B, T, H, N]  replacement key, kk ⊙ eta
};

/// Which state the output reads in the recurrence without removal.
enum class read_policy : unsigned char {
  after,         // y = S_t r                                  GLA, RetNet
  before,        // y = S_{t-1} r
  before_bonus,  // y = S_{t-1} r + v (Σ u k r)                RWKV-5, RWKV-6
};

/// Operands of the recurrence without a and b, with its read policy.
template <class T, read_policy Policy>
struct wkv_inputs {
  view<const T, 4> r = detail::missing<T, "r">();  // [B, T, H, N]
  decay<T> w = detail::missing<T, "w">();          // [B, T, H, N] and the form it is in
  view<const T, 4> k = detail::missing<T, "k">();  // [B, T, H_k, N]
  view<const T, 4> v = detail::missing<T, "v">();  // [B, T, H_v, N]
};

/// The same with the bonus u.
template <class T>
struct wkv_inputs<T, read_policy::before_bonus> {
  view<const T, 4> r = detail::missing<T, "r">();  // [B, T, H, N]
  decay<T> w = detail::missing<T, "w">();          // [B, T, H, N] and the form it is in
  view<const T, 4> k = detail::missing<T, "k">();  // [B, T, H_k, N]
  view<const T, 4> v = detail::missing<T, "v">();  // [B, T, H_v, N]
  view<const T, 2> u = detail::missing<T, "u">();  // [H, N]
};

}  // namespace rwkv7
