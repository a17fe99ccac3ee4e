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
  const bool own = in.k_k.extent(0) == H * N;  // each head its k_k
  const auto removal = [&](index_t h, index_t n) { return in.k_k ? in.k_k((own ? h : h / group) * N + n) : 1.0; };
  const double offset = in.offset == decay_offset::half ? 0.5 : 0.6;
  const auto factor = [&](double eta, index_t channel, const T* w) {
    if (in.rule == key_rule::k_a) return 1 + (eta - 1) * in.k_a(channel);
    const double omega = -(std::fmax(-double(*w), 0) + std::log1p(std::exp(-std::fabs(double(*w))))) - offset;
    return 1 - (in.rule == key_rule::one_minus_omega_plus_eta ? omega : std::exp(-std::exp(omega))) + eta;
  };
  for (index_t b = 0; b < in.eta.extent(0); ++b)
    for (index_t t = 0; t < in.eta.extent(1); ++t)
      for (index_t h = 0; h < H; ++h) {
        const index_t g = h / group;
        double squares = 0;
        for (index_t n = 0; n < N; ++n) squares += std::pow(double(in.k(b, t, g, n)) * removal(h, n), 2);
        for (index_t n = 0; n < N; ++n) {
          const double k = double(in.k(b, t, g, n)), eta = double(in.eta(b, t, h, n));
          const double kk = k * removal(h, n) / std::fmax(std::sqrt(squares), in.eps);
          out.k(b, t, h, n) = rounded<T>(k * factor(eta, h * N + n, in.w ? in.w.at(b, t, h, n) : nullptr));
          out.a(b, t, h, n) = rounded<T>(-kk);
          out.b(b, t, h, n) = rounded<T>(kk * eta);
        }
      }
}

}  // namespace rwkv7::backend::reference
