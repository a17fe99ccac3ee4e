// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/normalise.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/group_norm.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void group_norm_kernel(tag<Arch>, Exec& exec, const group_norm_inputs<T>& in, const view<T, 4>& y) {
  using A = registers_for<Arch, T>;
  const index_t H = in.x.extent(2), N = in.x.extent(3);
  const param weight(in.weight), bias(in.bias);
  for_rows(exec, in.x.extent(0), in.x.extent(1), row_grain(4 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h)
      normalise<A>(in.x.at(b, t, h, 0), N, in.eps, weight.from(h * N), bias.from(h * N), y.at(b, t, h, 0));
  });
}

}  // namespace rwkv7::backend::cpu
