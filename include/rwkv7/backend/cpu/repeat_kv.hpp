// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/operands/repeat_kv.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void repeat_kv_kernel(tag<Arch>, Exec& exec, const repeat_kv_inputs<float>& in, const view<float, 4>& y) {
  const index_t H = y.extent(2), N = y.extent(3);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const float* x = in.x.at(b, t, h / (H / in.x.extent(2)), 0);
      float* p = y.at(b, t, h, 0);
      for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, at.load(x)); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
