// SPDX-License-Identifier: MIT
#pragma once

#include <math.h>  // not <cmath>, as in math.hpp

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/operands/rope_table.hpp"

namespace rwkv7::backend::cpu {

// The C library reduces angles of any size exactly, one at a time: a model asks once a call, for all heads and layers.
template <class Arch, cpu_executor Exec, compute_element T>
void rope_table_kernel(tag<Arch>, Exec& exec, const sequences& seq, const rope_table_inputs<T>& in,
                       const rope_table_outputs<T>& out) {
  const index_t half = in.frequency.extent(0);
  for_ranges(exec, seq.batch() * seq.tokens(), row_grain(128 * half), 1, [&](index_t begin, index_t end) noexcept {
    index_t i = 0, before = 0;  // a sequence, and the tokens of those before it
    for (index_t row = begin; row < end; ++row) {
      while (row - before >= seq[i].length) before += seq[i++].length;
      const sequence s = seq[i];
      const index_t t = row - before;
      const double position = static_cast<double>(in.position(s.slot)) + static_cast<double>(t);
      T *cosine = out.cos.at(s.batch, s.first + t, 0), *sine = out.sin.at(s.batch, s.first + t, 0);
      for (index_t f = 0; f < half; ++f) {
        const double angle = position * in.frequency(f);
        cosine[f] = static_cast<T>(::cos(angle));
        sine[f] = static_cast<T>(::sin(angle));
      }
    }
  });
}

}  // namespace rwkv7::backend::cpu
