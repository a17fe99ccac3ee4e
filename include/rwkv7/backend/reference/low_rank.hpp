// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/activation.hpp"
#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void low_rank_kernel(tag, Exec&, const low_rank_inputs<T>& in, const low_rank_outputs<T>& out) {
  const auto& [M_in, M_out, bias] = in.weight;
  for (index_t b = 0; b < in.x.extent(0); ++b)
    for (index_t t = 0; t < in.x.extent(1); ++t) {
      for (index_t j = 0; j < M_in.extent(1); ++j) {
        double sum = 0;
        for (index_t c = 0; c < M_in.extent(0); ++c) sum += double(in.x(b, t, c)) * M_in(c, j);
        out.hidden(b, t, j) = rounded<T>(activate(in.inner, sum));
      }
      for (index_t d = 0; d < M_out.extent(1); ++d) {
        double sum = bias ? bias(d) : 0;
        for (index_t j = 0; j < M_out.extent(0); ++j) sum += double(out.hidden(b, t, j)) * M_out(j, d);
        out.y(b, t, d) = rounded<T>(activate(in.outer, sum));
      }
    }
}

}  // namespace rwkv7::backend::reference
