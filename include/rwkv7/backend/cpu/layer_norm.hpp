// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/normalise.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/layer_norm.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void layer_norm_kernel(tag<Arch>, Exec& exec, const layer_norm_inputs<T>& in, const view<T, 3>& y) {
  using A = registers_for<Arch, T>;
  const index_t C = in.x.extent(2);
  const param weight(in.weight), bias(in.bias);
  for_rows(exec, in.x.extent(0), in.x.extent(1), row_grain(4 * C), [&](index_t b, index_t t) noexcept {
    normalise<A>(in.x.at(b, t, 0), C, in.eps, weight, bias, y.at(b, t, 0));
  });
}

}  // namespace rwkv7::backend::cpu
