// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/residual_add.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void residual_add_kernel(tag<Arch>, Exec& exec, const residual_add_inputs<float>& in, const view<float, 3>& y) {
  const index_t C = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * C), [&](index_t b, index_t t) noexcept {
    const float* x = in.x.at(b, t, 0);
    float* p = y.at(b, t, 0);
    for_lanes<Arch>(C, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, at.load(p) + at.load(x)); });
  });
}

}  // namespace rwkv7::backend::cpu
