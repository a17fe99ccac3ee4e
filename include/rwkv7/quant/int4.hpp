// SPDX-License-Identifier: MIT
/// 4 bits with a scale for every 32 neighbours of a row: 4.5 bits per weight.
#pragma once

#include "rwkv7/quant/format.hpp"

namespace rwkv7::quant {

/// value = scale · q, q = -8 … 7, scale in bf16 and of either sign.
///
/// Error: the scale is the one of least squared error among sixteen, which lie around the largest magnitude / 8 with
/// either sign, each improved once. Of normal weights the relative L2 error is 0.081, of uniform ones 0.059: 6 % and
/// 9 % less than with the largest weight made exactly -8, as in Q4_0; finer searches gain 0.5 % more. A single weight
/// is off by at most a quarter of the largest magnitude of its block.
struct int4 {
  static constexpr dtype type = dtype::int4;  // in weights<2>
  /// For n neighbours.
  static float scale(const float* x, index_t n) noexcept {
    scale_search<int4> search(x, n);
    const float full = largest(x, n) / 8;
    for (int i = 0; i < 8; ++i) {
      const float part = 0.68f + 0.07f * static_cast<float>(i);
      search.consider(full * part), search.consider(-full * part);
    }
    return search.best();
  }
  /// The stored nibble.
  static unsigned code(float x, float scale) noexcept { return nearest_code(x, scale, -8, 7, 8); }
};

static_assert(quant_format<int4>);

}  // namespace rwkv7::quant
