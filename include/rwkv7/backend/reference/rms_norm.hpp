// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/rms_norm.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void rms_norm_kernel(tag, Exec&, const rms_norm_inputs<T>& in, const view<T, 4>& y) {
  const index_t N = in.x.extent(3);
  for (index_t b = 0; b < in.x.extent(0); ++b)
    for (index_t t = 0; t < in.x.extent(1); ++t)
      for (index_t h = 0; h < in.x.extent(2); ++h) {
        double mean = 0;
        for (index_t n = 0; n < N; ++n) mean += std::pow(double(in.x(b, t, h, n)), 2) / double(N);
        for (index_t n = 0; n < N; ++n)
          y(b, t, h, n) = rounded<T>(double(in.x(b, t, h, n)) / std::sqrt(mean + in.eps) * in.weight(n));
      }
}

}  // namespace rwkv7::backend::reference
