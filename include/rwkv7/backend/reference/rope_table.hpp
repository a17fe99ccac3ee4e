// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/rope_table.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T>
void rope_table_kernel(tag, Exec&, const sequences& seq, const rope_table_inputs<T>& in,
                       const rope_table_outputs<T>& out) {
  for (index_t i = 0; i < seq.count(); ++i) {
    const auto [b, first, length, slot] = seq[i];
    for (index_t t = 0; t < length; ++t)
      for (index_t f = 0; f < in.frequency.extent(0); ++f) {
        const double angle = (double(in.position(slot)) + double(t)) * in.frequency(f);
        out.cos(b, first + t, f) = rounded<T>(std::cos(angle));
        out.sin(b, first + t, f) = rounded<T>(std::sin(angle));
      }
  }
}

}  // namespace rwkv7::backend::reference
