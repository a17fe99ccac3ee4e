// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/bonus.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void bonus_kernel(tag, Exec&, const bonus_inputs<T>& in, const view<T, 4>& y) {
  const index_t H = y.extent(2), N = y.extent(3);
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t h = 0; h < H; ++h) {
        const index_t g_k = h / (H / in.k.extent(2)), g_v = h / (H / in.v.extent(2));
        double s = 0;
        for (index_t n = 0; n < N; ++n) s += double(in.r(b, t, h, n)) * double(in.k(b, t, g_k, n)) * in.r_k(h, n);
        for (index_t n = 0; n < N; ++n)
          y(b, t, h, n) = rounded<T>(double(y(b, t, h, n)) + s * double(in.v(b, t, g_v, n)));
      }
}

}  // namespace rwkv7::backend::reference
