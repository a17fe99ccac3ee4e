// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/repeat_kv.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void repeat_kv_kernel(tag, Exec&, const repeat_kv_inputs<T>& in, const view<T, 4>& y) {
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t h = 0; h < y.extent(2); ++h)
        for (index_t n = 0; n < y.extent(3); ++n) y(b, t, h, n) = in.x(b, t, h / (y.extent(2) / in.x.extent(2)), n);
}

}  // namespace rwkv7::backend::reference
