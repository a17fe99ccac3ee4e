// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/gate.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void gate_kernel(tag, Exec&, const gate_inputs<T>& in, const view<T, 3>& y) {
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t d = 0; d < y.extent(2); ++d) y(b, t, d) = rounded<T>(double(in.x(b, t, d)) * double(in.g(b, t, d)));
}

}  // namespace rwkv7::backend::reference
