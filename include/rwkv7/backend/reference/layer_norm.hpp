// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/layer_norm.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void layer_norm_kernel(tag, Exec&, const layer_norm_inputs<T>& in, const view<T, 3>& y) {
  const index_t C = in.x.extent(2);
  for (index_t b = 0; b < in.x.extent(0); ++b)
    for (index_t t = 0; t < in.x.extent(1); ++t) {
      double mean = 0, variance = 0;
      for (index_t c = 0; c < C; ++c) mean += double(in.x(b, t, c)) / double(C);
      for (index_t c = 0; c < C; ++c) variance += std::pow(double(in.x(b, t, c)) - mean, 2) / double(C);
      for (index_t c = 0; c < C; ++c)
        y(b, t, c) =
            rounded<T>((double(in.x(b, t, c)) - mean) / std::sqrt(variance + in.eps) * in.weight(c) + in.bias(c));
    }
}

}  // namespace rwkv7::backend::reference
