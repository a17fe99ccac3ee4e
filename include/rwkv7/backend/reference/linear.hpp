// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/linear.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void linear_kernel(tag, Exec&, const linear_inputs<T>& in, const view<T, 3>& y) {
  for (index_t b = 0; b < y.extent(0); ++b)
    for (index_t t = 0; t < y.extent(1); ++t)
      for (index_t o = 0; o < y.extent(2); ++o) {
        double sum = in.bias ? in.bias(o) : 0;
        for (index_t i = 0; i < in.x.extent(2); ++i) sum += in.weight(o, i) * double(in.x(b, t, i));
        y(b, t, o) = rounded<T>(sum);
      }
}

}  // namespace rwkv7::backend::reference
