// SPDX-License-Identifier: MIT
/// The recurrence's operands as one sequence and head sees them.
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/operands/wkv7.hpp"

namespace rwkv7::backend::cpu {

/// A [B, T, H, N] operand: token t at data + t · stride.
template <class T>
struct head_tokens {
  T* data;
  index_t stride;

  RWKV7_INLINE head_tokens(const view<T, 4>& v, const sequence& s, index_t h) noexcept
      : data(v.at(s.batch, s.first, h, 0)), stride(v.stride(1)) {}
  RWKV7_INLINE head_tokens(T* first, index_t step) noexcept : data(first), stride(step) {}
  RWKV7_INLINE T* operator[](index_t t) const noexcept { return data + t * stride; }
};

/// Everything one sequence and head needs. `Removal`: there are a and b; else these two repeat r and are not used. The
/// kernels are those of float; wkv7_halves.hpp and wkv7_double.hpp serve other T.
template <bool Removal, read_policy Policy, class T = float>
struct wkv_head {
  head_tokens<const T> r, w, k, v, a, b;
  head_tokens<T> y;
  const T* u;  // [N], for read_policy::before_bonus
  decay_form form;
  decay_offset offset;
  bool next_follows;  // this thread takes the next head, too: its state may be asked for. Another thread's may not be:
                      // that would take it from the cache of that thread's core

  /// Lanes [i, i + count) of token t: they lie far from those of the token before, where no processor looks by itself.
  RWKV7_INLINE void prefetch(index_t t, index_t i, index_t count) const noexcept {
    for (index_t at = i; at < i + count; at += 16) {
      cpu::prefetch(r[t] + at), cpu::prefetch(w[t] + at), cpu::prefetch(k[t] + at), cpu::prefetch(v[t] + at);
      if constexpr (Removal) cpu::prefetch(a[t] + at), cpu::prefetch(b[t] + at);
      cpu::prefetch(y[t] + at);
    }
  }

  /// What multiplies v in the output, beside the state: y = (state read) r + v · own.
  template <class Arch>
  RWKV7_INLINE scalar<Arch> own(index_t t, index_t N) const noexcept {
    if constexpr (Policy == read_policy::before) return 0;
    vec<Arch> sum(0.0f);
    const T *rt = r[t], *kt = k[t];
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<Arch> rj = at.load(rt), kj = at.load(kt);
      if constexpr (Policy == read_policy::before_bonus)
        sum = cpu::fma<Arch>(rj * kj, at.load(u), sum);
      else
        sum = cpu::fma<Arch>(rj, kj, sum);
    });
    return reduce_add<Arch>(sum);
  }
};

}  // namespace rwkv7::backend::cpu
