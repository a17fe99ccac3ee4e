// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/operands/bonus.hpp"

namespace rwkv7::backend::cpu {

/// Σ_j r_j k_j r_k,j of one head.
template <class Arch, class T>
RWKV7_INLINE vec<Arch> bonus_of(const T* r, const T* k, const param& r_k, index_t N) noexcept {
  vec<Arch> sum(0.0f);
  for_lanes<Arch>(
      N, [&](auto at) RWKV7_INLINE_LAMBDA { sum = cpu::fma<Arch>(at.load(r) * at.load(k), r_k.load(at), sum); });
  return vec<Arch>(reduce_add<Arch>(sum));
}

template <class Arch, cpu_executor Exec, activation_element T>
void bonus_kernel(tag<Arch>, Exec& exec, const bonus_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  const index_t H = y.extent(2), N = y.extent(3);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T* v = in.v.at(b, t, h / (H / in.v.extent(2)), 0);
      T* p = y.at(b, t, h, 0);
      const auto s = bonus_of<A>(in.r.at(b, t, h, 0), in.k.at(b, t, h / (H / in.k.extent(2)), 0), param(in.r_k, h), N);
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::fma<A>(s, at.load(v), at.load(p))); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
