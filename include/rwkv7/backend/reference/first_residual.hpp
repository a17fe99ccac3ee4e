// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/activation.hpp"
#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/first_residual.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void first_residual_kernel(tag, Exec&, const first_residual_inputs<T>& in, const view<T, 4>& y) {
  const index_t H = y.extent(2);
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t h = 0; h < H; ++h)
        for (index_t n = 0; n < y.extent(3); ++n) {
          const index_t group = h / (H / in.x.extent(2));
          const double x = double(in.x(b, t, group, n)), first = double(in.first(b, t, group, n));
          y(b, t, h, n) = rounded<T>(x + (first - x) * sigmoid(double(in.mix(b, t, h, n))));
        }
}

}  // namespace rwkv7::backend::reference
