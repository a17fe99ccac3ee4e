// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/operands/bonus.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void bonus_kernel(tag<Arch>, Exec& exec, const bonus_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t H = y.extent(2), N = y.extent(3);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T* r = in.r.at(b, t, h, 0);
      const T* k = in.k.at(b, t, h / (H / in.k.extent(2)), 0);
      const T* v = in.v.at(b, t, h / (H / in.v.extent(2)), 0);
      const param r_k(in.r_k, h);
      T* p = y.at(b, t, h, 0);
      V sum(0.0f);
      for_lanes<A>(N,
                   [&](auto at) RWKV7_INLINE_LAMBDA { sum = cpu::fma<A>(at.load(r) * at.load(k), r_k.load(at), sum); });
      const V s(reduce_add<A>(sum));
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::fma<A>(s, at.load(v), at.load(p))); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
