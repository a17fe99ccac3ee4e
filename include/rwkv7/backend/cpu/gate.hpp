// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/gate.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void gate_kernel(tag<Arch>, Exec& exec, const gate_inputs<float>& in, const view<float, 3>& y) {
  const index_t D = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * D), [&](index_t b, index_t t) noexcept {
    const float *x = in.x.at(b, t, 0), *g = in.g.at(b, t, 0);
    float* p = y.at(b, t, 0);
    for_lanes<Arch>(D, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, at.load(x) * at.load(g)); });
  });
}

}  // namespace rwkv7::backend::cpu
