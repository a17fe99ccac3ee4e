// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/activation.hpp"
#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/decay_factor.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void decay_factor_kernel(tag, Exec&, const decay_factor_inputs<T>& in, const view<T, 4>& y) {
  const auto& w = in.w.values();
  for (index_t b = 0; b < w.extent(0); ++b)
    for (index_t t = 0; t < w.extent(1); ++t)
      for (index_t h = 0; h < w.extent(2); ++h)
        for (index_t n = 0; n < w.extent(3); ++n)
          y(b, t, h, n) = rounded<T>(decay_factor(in.w.form(), in.w.offset(), double(w(b, t, h, n))));
}

}  // namespace rwkv7::backend::reference
