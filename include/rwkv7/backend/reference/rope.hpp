// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/rope.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void rope_kernel(tag, Exec&, const rope_inputs<T>& in, const view<T, 4>& y) {
  const index_t half = y.extent(3) / 2;
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t h = 0; h < y.extent(2); ++h)
        for (index_t i = 0; i < half; ++i) {
          const double low = double(in.x(b, t, h, i)), high = double(in.x(b, t, h, i + half));
          const double cosine = double(in.cos(b, t, i)), sine = double(in.sin(b, t, i));
          y(b, t, h, i) = rounded<T>(low * cosine - high * sine);
          y(b, t, h, i + half) = rounded<T>(high * cosine + low * sine);
        }
}

}  // namespace rwkv7::backend::reference
