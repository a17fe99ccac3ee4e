// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/key_update.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void key_update_kernel(tag, Exec&, const key_update_inputs<T>& in, const key_update_outputs<T>& out) {
  const index_t H = in.eta.extent(2), N = in.eta.extent(3), group = H / (H > 0 ? in.k.extent(2) : 1);
  for (index_t b = 0; b < in.eta.extent(0); ++b)
    for (index_t t = 0; t < in.eta.extent(1); ++t)
      for (index_t h = 0; h < H; ++h) {
        const index_t g = h / group;
        double squares = 0;
        for (index_t n = 0; n < N; ++n) squares += std::pow(double(in.k(b, t, g, n)) * in.k_k(g * N + n), 2);
        for (index_t n = 0; n < N; ++n) {
          const double k = double(in.k(b, t, g, n)), eta = double(in.eta(b, t, h, n));
          const double kk = k * in.k_k(g * N + n) / std::fmax(std::sqrt(squares), in.eps);
          out.k(b, t, h, n) = rounded<T>(k * (1 + (eta - 1) * in.k_a(h * N + n)));
          out.a(b, t, h, n) = rounded<T>(-kk);
          out.b(b, t, h, n) = rounded<T>(kk * eta);
        }
      }
}

}  // namespace rwkv7::backend::reference
