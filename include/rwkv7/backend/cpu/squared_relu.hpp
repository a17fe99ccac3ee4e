// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/squared_relu.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void squared_relu_kernel(tag<Arch>, Exec& exec, const squared_relu_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t F = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * F), [&](index_t b, index_t t) noexcept {
    const T* x = in.x.at(b, t, 0);
    T* p = y.at(b, t, 0);
    for_lanes<A>(F, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V value = at.load(x);
      at.store(p, xsimd::select(value < V(0.0f), V(0.0f), value * value));  // a maximum would lose NaN
    });
  });
}

}  // namespace rwkv7::backend::cpu
