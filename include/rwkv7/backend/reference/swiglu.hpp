// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/swiglu.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void swiglu_kernel(tag, Exec&, const swiglu_inputs<T>& in, const view<T, 3>& y) {
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t f = 0; f < y.extent(2); ++f) {
        const double gate = double(in.gate(b, t, f));
        y(b, t, f) = rounded<T>(gate / (1 + std::exp(-gate)) * double(in.up(b, t, f)));
      }
}

}  // namespace rwkv7::backend::reference
