// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/readout.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void readout_kernel(tag, Exec&, const readout_inputs<T>& in, const view<T, 4>& y) {
  const index_t H = y.extent(2), N = y.extent(3);
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t h = 0; h < H; ++h) {
        double mean = 0, variance = 0, bonus = 0;
        for (index_t n = 0; n < N; ++n) mean += double(in.x(b, t, h, n)) / double(N);
        for (index_t n = 0; n < N; ++n) variance += std::pow(double(in.x(b, t, h, n)) - mean, 2) / double(N);
        const index_t g_k = in.r_k ? h / (H / in.k.extent(2)) : 0, g_v = in.r_k ? h / (H / in.v.extent(2)) : 0;
        for (index_t n = 0; in.r_k && n < N; ++n)
          bonus += double(in.r(b, t, h, n)) * double(in.k(b, t, g_k, n)) * in.r_k(h, n);
        for (index_t n = 0; n < N; ++n) {
          auto value = double(in.x(b, t, h, n));
          if (!in.weight) value *= in.scale;
          if (in.weight)
            value = (value - mean) / std::sqrt(variance + in.eps) * in.weight(h * N + n) + in.bias(h * N + n);
          if (in.r_k) value += bonus * double(in.v(b, t, g_v, n));
          if (in.g) value *= in.gate_offset + double(in.g(b, t, h, n));
          y(b, t, h, n) = rounded<T>(value);
        }
      }
}

}  // namespace rwkv7::backend::reference
