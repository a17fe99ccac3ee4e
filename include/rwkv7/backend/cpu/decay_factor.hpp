// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/decay_factor.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void decay_factor_kernel(tag<Arch>, Exec& exec, const decay_factor_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  const auto& w = in.w.values();
  const index_t H = w.extent(2), N = w.extent(3);
  for_rows(exec, w.extent(0), w.extent(1), row_grain(8 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h)
      decays<A, decay_as::factor>(in.w.form(), in.w.offset(), w.at(b, t, h, 0), N, y.at(b, t, h, 0));
  });
}

}  // namespace rwkv7::backend::cpu
