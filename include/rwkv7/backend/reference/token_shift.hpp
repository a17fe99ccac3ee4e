// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "rwkv7/backend/reference/element.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/exec/executor.hpp"
#include "rwkv7/operands/token_shift.hpp"

namespace rwkv7::backend::reference {

template <class Exec, class T, std::size_t Mixes>
void token_shift_kernel(tag, Exec&, const sequences& seq, const token_shift_inputs<T, Mixes>& in,
                        const token_shift_outputs<T, Mixes>& out, const shift_state<compute_type<T>>& state) {
  for (index_t i = 0; i < seq.count(); ++i) {
    const auto [b, first, length, slot] = seq[i];
    for (index_t c = 0; c < in.x.extent(2); ++c) {
      double previous = state.initial ? double(state.initial(slot, c)) : 0;
      for (index_t t = first; t < first + length; ++t) {
        const double x = double(in.x(b, t, c));
        for (std::size_t m = 0; m < Mixes; ++m) out.y[m](b, t, c) = rounded<T>(x + (previous - x) * in.mix[m](c));
        previous = x;
        if (state.every) state.every.ring(slot, state.every.place(t - first), c) = compute_type<T>(x);
      }
      if (state.final) state.final(slot, c) = compute_type<T>(previous);
    }
  }
}

}  // namespace rwkv7::backend::reference
