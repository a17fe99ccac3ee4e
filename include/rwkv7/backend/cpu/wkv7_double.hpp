// SPDX-License-Identifier: MIT
/// The recurrence in double, for gradient checks and as a yardstick: row after row as the formula has it, with lanes
/// along the key index. None of float's forms: what they gain in time they would lose in digits.
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/wkv7_head.hpp"

namespace rwkv7::backend::cpu {

/// One sequence and head of N ≤ Capacity, on registers of double.
template <class Arch, index_t Capacity, bool Removal, read_policy Policy>
void wkv_rows_in_double(const wkv_head<Removal, Policy, double>& head, index_t tokens, index_t N,
                        const view<const double, 2>& from, const view<double, 2>& to) noexcept {
  using V = vec<Arch>;
  alignas(64) double S[Capacity * Capacity], w[Capacity];
  for (index_t i = 0; i < N; ++i)
    for (index_t j = 0; j < N; ++j) S[i * N + j] = from ? from(i, j) : 0;
  for (index_t t = 0; t < tokens; ++t) {
    const double *r = head.r[t], *k = head.k[t], *v = head.v[t], *a = head.a[t], *b = head.b[t];
    double* y = head.y[t];
    decays<Arch, decay_as::factor>(head.form, head.offset, head.w[t], N, w);
    const double own = Policy == read_policy::before_bonus ? head.template own<Arch>(t, N) : 0;
    for (index_t i = 0; i < N; ++i) {
      double* row = S + i * N;
      V removed(0.0), sum(0.0);
      if constexpr (Removal) {
        for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
          removed = cpu::fma<Arch>(at.load(static_cast<const double*>(row)), at.load(a), removed);
        });
        removed = V(reduce_add<Arch>(removed));
      }
      const V value(v[i]);
      for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V before = at.load(static_cast<const double*>(row));
        V after = cpu::fma<Arch>(value, at.load(k), before * at.load(static_cast<const double*>(w)));
        if constexpr (Removal) after = cpu::fma<Arch>(removed, at.load(b), after);
        at.store(row, after);
        sum = cpu::fma<Arch>(Policy == read_policy::after ? after : before, at.load(r), sum);
      });
      y[i] = reduce_add<Arch>(sum) + v[i] * own;
    }
  }
  if (!to) return;
  for (index_t i = 0; i < N; ++i)
    for (index_t j = 0; j < N; ++j) to(i, j) = S[i * N + j];
}

/// The same for any N.
template <class Arch, bool Removal, read_policy Policy>
RWKV7_INLINE void wkv_in_double(const wkv_head<Removal, Policy, double>& head, index_t tokens, index_t N,
                                const view<const double, 2>& from, const view<double, 2>& to) noexcept {
  if (N <= 64) return wkv_rows_in_double<Arch, 64>(head, tokens, N, from, to);
  if (N <= 128) return wkv_rows_in_double<Arch, 128>(head, tokens, N, from, to);
  wkv_rows_in_double<Arch, max_head_size>(head, tokens, N, from, to);
}

}  // namespace rwkv7::backend::cpu
