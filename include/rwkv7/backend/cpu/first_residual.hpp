// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/first_residual.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void first_residual_kernel(tag<Arch>, Exec& exec, const first_residual_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t D = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * D), [&](index_t b, index_t t) noexcept {
    const T *x = in.x.at(b, t, 0), *first = in.first.at(b, t, 0), *mix = in.mix.at(b, t, 0);
    T* p = y.at(b, t, 0);
    for_lanes<A>(D, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<A> own = at.load(x);
      at.store(p, cpu::fma<A>(at.load(first) - own, cpu::sigmoid<A>(at.load(mix)), own));
    });
  });
}

}  // namespace rwkv7::backend::cpu
