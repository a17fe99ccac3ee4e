// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/residual_add.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void residual_add_kernel(tag<Arch>, Exec& exec, const residual_add_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t C = y.extent(2);
  const vec<A> scale(static_cast<scalar<A>>(in.scale));
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * C), [&](index_t b, index_t t) noexcept {
    const T* x = in.x.at(b, t, 0);
    T* p = y.at(b, t, 0);
    for_lanes<A>(C, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::fma<A>(scale, at.load(x), at.load(p))); });
  });
}

}  // namespace rwkv7::backend::cpu
