// SPDX-License-Identifier: MIT
/// The recurrence on operands or a state of 16 bits, by the kernels of float: no kernel is compiled for them, and y has
/// the bits of float's, rounded.
///
/// Operands are widened 32 tokens at a time, where a cut changes no bit; a state in float is used where it lies. A
/// state of 16 bits is widened at the beginning and rounded at the end of a call: once for many tokens, at every token
/// where each is a call of its own.
#pragma once

#include "rwkv7/backend/cpu/wkv7_columns.hpp"

namespace rwkv7::backend::cpu {

/// Element by element, both of any strides.
template <class Arch, class From, class To>
RWKV7_INLINE void convert(const view<const From, 2>& from, const view<To, 2>& to) noexcept {
  const bool rows = from.stride(1) == 1 && to.stride(1) == 1;
  for (index_t i = 0; i < to.extent(0); ++i) {
    const From* x = from.at(i, 0);
    To* y = to.at(i, 0);
    if (rows)
      for_lanes<Arch>(to.extent(1), [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, at.load(x)); });
    else
      for (index_t j = 0; j < to.extent(1); ++j)
        store_first<Arch>(y + j * to.stride(1), load_first<Arch>(x + j * from.stride(1), 1), 1);
  }
}

/// kernel(head in float, tokens, N, from, to) for one sequence and head of N ≤ Capacity.
template <class Arch, index_t Capacity, bool Removal, read_policy Policy, class T, class S, class Kernel>
void wkv_widened(const wkv_head<Removal, Policy, T>& head, index_t tokens, index_t N, const view<const S, 2>& from,
                 const view<S, 2>& to, Kernel kernel) noexcept {
  constexpr bool copied = !std::is_same_v<S, float>;
  alignas(64) float operands[Removal ? 6 : 4][wkv7_block * Capacity], y[wkv7_block * Capacity], u[Capacity];
  alignas(64) float copy[Capacity * Capacity];
  const view<float, 2> held(copy, {N, N});
  view<const float, 2> now;
  view<float, 2> last;
  if constexpr (copied) {
    if (from) convert<Arch>(from, held), now = held;
    if (to) last = held;
  } else {
    now = from, last = to;
  }
  if (head.u) for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(u, at.load(head.u)); });

  index_t t = 0;
  do {
    const index_t count = tokens - t < wkv7_block ? tokens - t : wkv7_block;
    const auto next = t + count == tokens || last ? last : held;
    const auto widened = [&](const head_tokens<const T>& x, float* to_here) RWKV7_INLINE_LAMBDA {
      for (index_t n = 0; n < count; ++n)
        for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(to_here + n * N, at.load(x[t + n])); });
      return head_tokens<const float>(to_here, N);
    };
    const auto r = widened(head.r, operands[0]);
    kernel(wkv_head<Removal, Policy>{r,
                                     widened(head.w, operands[1]),
                                     widened(head.k, operands[2]),
                                     widened(head.v, operands[3]),
                                     Removal ? widened(head.a, operands[Removal ? 4 : 0]) : r,
                                     Removal ? widened(head.b, operands[Removal ? 5 : 0]) : r,
                                     {y, N},
                                     head.u ? u : nullptr,
                                     head.form,
                                     head.offset,
                                     !copied && head.next_follows},
           count, N, now, next);
    for (index_t n = 0; n < count; ++n)
      for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        at.store(head.y[t + n], at.load(static_cast<const float*>(y + n * N)));
      });
    now = next;
    t += count;
  } while (t < tokens);
  if constexpr (copied)
    if (to) convert<Arch>(view<const float, 2>(held), to);
}

/// The same for any N. Stack: N² + 225 N floats beside those of the kernel, N rounded up to 64, 128 or max_head_size.
template <class Arch, bool Removal, read_policy Policy, class T, class S, class Kernel>
RWKV7_INLINE void wkv_in_halves(const wkv_head<Removal, Policy, T>& head, index_t tokens, index_t N,
                                const view<const S, 2>& from, const view<S, 2>& to, Kernel kernel) noexcept {
  if (N <= 64) return wkv_widened<Arch, 64>(head, tokens, N, from, to, kernel);
  if (N <= 128) return wkv_widened<Arch, 128>(head, tokens, N, from, to, kernel);
  wkv_widened<Arch, max_head_size>(head, tokens, N, from, to, kernel);
}

}  // namespace rwkv7::backend::cpu
