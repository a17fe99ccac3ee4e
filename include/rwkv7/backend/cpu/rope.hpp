// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/rope.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void rope_kernel(tag<Arch>, Exec& exec, const rope_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t H = y.extent(2), half = y.extent(3) / 2;
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * H * half), [&](index_t b, index_t t) noexcept {
    const auto *cosines = in.cos.at(b, t, 0), *sines = in.sin.at(b, t, 0);
    for (index_t h = 0; h < H; ++h) {
      const T *x = in.x.at(b, t, h, 0), *x_high = x + half;
      T *to = y.at(b, t, h, 0), *to_high = to + half;
      for_lanes<A>(half, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V low = at.load(x), high = at.load(x_high), cosine = at.load(cosines), sine = at.load(sines);
        at.store(to, cpu::fma<A>(low, cosine, -(high * sine)));
        at.store(to_high, cpu::fma<A>(high, cosine, low * sine));
      });
    }
  });
}

}  // namespace rwkv7::backend::cpu
