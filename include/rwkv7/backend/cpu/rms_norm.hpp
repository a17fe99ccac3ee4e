// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/operands/rms_norm.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void rms_norm_kernel(tag<Arch>, Exec& exec, const rms_norm_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t H = in.x.extent(2), N = in.x.extent(3);
  const auto count = static_cast<scalar<A>>(N), eps = static_cast<scalar<A>>(in.eps);
  const param weight(in.weight);
  for_rows(exec, in.x.extent(0), in.x.extent(1), row_grain(3 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T* x = in.x.at(b, t, h, 0);
      T* p = y.at(b, t, h, 0);
      V squares(0.0f);
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V value = at.load(x);
        squares = cpu::fma<A>(value, value, squares);
      });
      const V scale(1.0f / square_root(reduce_add<A>(squares) / count + eps));
      for_lanes<A>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, at.load(x) * scale * weight.load(at)); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
