// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/core/dtype.hpp"
#include "rwkv7/operands/repeat_kv.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T>
void repeat_kv_kernel(tag<Arch>, Exec& exec, const repeat_kv_inputs<T>& in, const view<T, 4>& y) {
  const index_t H = y.extent(2), N = y.extent(3);
  for_rows(exec, y.extent(0), y.extent(1), row_grain(2 * H * N), [&](index_t b, index_t t) noexcept {
    for (index_t h = 0; h < H; ++h) {
      const T* x = in.x.at(b, t, h / (H / in.x.extent(2)), 0);
      if (N > 0) std::memcpy(y.at(b, t, h, 0), x, static_cast<std::size_t>(N) * sizeof(T));
    }
  });
}

}  // namespace rwkv7::backend::cpu
