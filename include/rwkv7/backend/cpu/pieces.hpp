// SPDX-License-Identifier: MIT
/// Products whose outputs have 16 bits: computed in float by the kernels of float, a piece on the stack at a time, and
/// rounded once.
#pragma once

#include <cstdint>

#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// 32 KiB.
inline constexpr index_t piece_elements = 8192;
/// Rows at most: a multiple of those that kernels take together, and enough to pay for another pass over the weights.
inline constexpr index_t piece_rows = 60;

/// compute(begin, end, first, last, to) for rows and outputs that make up rows [begin, end) and outputs [first, last)
/// of y; outputs begin at multiples of `step` from `first`. `to` is y where its elements are computed in, else a piece
/// with the same indices.
template <class Arch, class T, class F>
RWKV7_INLINE void in_pieces(const view<T, 3>& y, index_t begin, index_t end, index_t first, index_t last, index_t step,
                            F&& compute) noexcept {
  if constexpr (!half_element<T>) {
    compute(begin, end, first, last, y);
  } else {
    alignas(64) float piece[piece_elements];
    const index_t height = end - begin < piece_rows ? end - begin : piece_rows;
    const index_t width = height > 0 ? piece_elements / height / step * step : step;
    for (index_t row = begin; row < end; row += height)
      for (index_t o = first; o < last; o += width) {
        const index_t row_end = end - row < height ? end : row + height, o_end = last - o < width ? last : o + width;
        const index_t step_to = o_end - o;
        // Where element [0, 0, 0] would lie, which nobody touches: an address, for an array has none before its first.
        const auto origin =
            reinterpret_cast<std::uintptr_t>(piece) - static_cast<std::uintptr_t>(row * step_to + o) * 4;
        compute(row, row_end, o, o_end,
                view<float, 3>(reinterpret_cast<float*>(origin), {1, row_end, o_end}, {0, step_to, 1}));
        for (index_t r = row; r < row_end; ++r) {
          T* out = y.at(r / y.extent(1), r % y.extent(1), o);
          const float* from = piece + (r - row) * step_to;
          for_lanes<Arch>(step_to, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(out, at.load(from)); });
        }
      }
  }
}

}  // namespace rwkv7::backend::cpu
