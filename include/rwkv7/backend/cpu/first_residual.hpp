// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/first_residual.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void first_residual_kernel(tag<Arch>, Exec& exec, const first_residual_inputs<float>& in, const view<float, 3>& y) {
  const index_t D = y.extent(2);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * D), [&](index_t b, index_t t) noexcept {
    const float *x = in.x.at(b, t, 0), *first = in.first.at(b, t, 0), *mix = in.mix.at(b, t, 0);
    float* p = y.at(b, t, 0);
    for_lanes<Arch>(D, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<Arch> own = at.load(x);
      at.store(p, cpu::fma<Arch>(at.load(first) - own, cpu::sigmoid<Arch>(at.load(mix)), own));
    });
  });
}

}  // namespace rwkv7::backend::cpu
