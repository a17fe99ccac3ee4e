// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/gate.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void gate_kernel(tag<Arch>, Exec& exec, const gate_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t D = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * D), [&](index_t b, index_t t) noexcept {
    const T *x = in.x.at(b, t, 0), *g = in.g.at(b, t, 0);
    T* p = y.at(b, t, 0);
    for_lanes<A>(D, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, at.load(x) * at.load(g)); });
  });
}

}  // namespace rwkv7::backend::cpu
