// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/swiglu.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void swiglu_kernel(tag<Arch>, Exec& exec, const swiglu_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t F = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(8 * F), [&](index_t b, index_t t) noexcept {
    const T *gate = in.gate.at(b, t, 0), *up = in.up.at(b, t, 0);
    T* p = y.at(b, t, 0);
    for_lanes<A>(F, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<A> x = at.load(gate);
      at.store(p, x * cpu::sigmoid<A>(x) * at.load(up));
    });
  });
}

}  // namespace rwkv7::backend::cpu
