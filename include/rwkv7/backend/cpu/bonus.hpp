// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/operands/bonus.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void bonus_kernel(tag<Arch>, Exec& exec, const bonus_inputs<float>& in, const view<float, 4>& y) {
  using V = vec<Arch>;
  const index_t H = y.extent(2), N = y.extent(3);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(4 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const float* r = in.r.at(b, t, h, 0);
      const float* k = in.k.at(b, t, h / (H / in.k.extent(2)), 0);
      const float* v = in.v.at(b, t, h / (H / in.v.extent(2)), 0);
      const param r_k(in.r_k, h);
      float* p = y.at(b, t, h, 0);
      V sum(0.0f);
      for_lanes<Arch>(
          N, [&](auto at) RWKV7_INLINE_LAMBDA { sum = cpu::fma<Arch>(at.load(r) * at.load(k), r_k.load(at), sum); });
      const V s(reduce_add<Arch>(sum));
      for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::fma<Arch>(s, at.load(v), at.load(p))); });
    }
  });
}

}  // namespace rwkv7::backend::cpu
