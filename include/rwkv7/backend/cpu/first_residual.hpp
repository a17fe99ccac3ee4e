// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/first_residual.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void first_residual_kernel(tag<Arch>, Exec& exec, const first_residual_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  index_t H = y.extent(2), N = y.extent(3);
  const index_t group = H > 0 ? H / in.x.extent(2) : 0;
  const bool joined =
      group == 1 && in.x.stride(2) == N && in.first.stride(2) == N && in.mix.stride(2) == N && y.stride(2) == N;
  if (joined) N *= H, H = 1;  // as one head
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T *x = in.x.at(b, t, h / group, 0), *first = in.first.at(b, t, h / group, 0), *mix = in.mix.at(b, t, h, 0);
      T* p = y.at(b, t, h, 0);
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        const vec<A> own = at.load(x);
        at.store(p, cpu::fma<A>(at.load(first) - own, cpu::sigmoid<A>(at.load(mix)), own));
      });
    }
  });
}

}  // namespace rwkv7::backend::cpu
