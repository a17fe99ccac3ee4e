// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/residual_add.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void residual_add_kernel(tag, Exec&, const residual_add_inputs<T>& in, const view<T, 3>& y) {
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t c = 0; c < y.extent(2); ++c)
        y(b, t, c) = rounded<T>(double(y(b, t, c)) + in.scale * double(in.x(b, t, c)));
}

}  // namespace rwkv7::backend::reference
