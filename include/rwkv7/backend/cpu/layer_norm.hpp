// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/normalise.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/operands/layer_norm.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec>
void layer_norm_kernel(tag<Arch>, Exec& exec, const layer_norm_inputs<float>& in, const view<float, 3>& y) {
  const index_t C = in.x.extent(2);
  const param weight(in.weight), bias(in.bias);
  for_rows(exec, in.x.extent(0), in.x.extent(1), row_grain(4 * C), [&](index_t b, index_t t) noexcept {
    normalise<Arch>(in.x.at(b, t, 0), C, static_cast<float>(in.eps), weight, bias, y.at(b, t, 0));
  });
}

}  // namespace rwkv7::backend::cpu
