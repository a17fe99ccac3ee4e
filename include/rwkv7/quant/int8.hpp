// SPDX-License-Identifier: MIT
/// 8 bits with a scale for every 32 neighbours of a row: 8.5 bits per weight.
#pragma once

#include "rwkv7/quant/format.hpp"

namespace rwkv7::quant {

/// value = scale · q, q = -127 … 127, scale in bf16.
///
/// Error: at most half a step, and a step is at most the largest magnitude of the block / 119; so it is on all the
/// tests' data, which is no proof, since the scale is refined. The scale is the one of
/// least squared error among those that make the largest weight 127, 126 … 120, each rounded to bf16: some of them fit
/// the large weights by luck. Of normal weights the relative L2 error is 0.0049, a tenth less than that of Q8_0.
struct int8 {
  static constexpr dtype type = dtype::int8;  // in weights<2>
  /// For n neighbours.
  static float scale(const float* x, index_t n) noexcept {
    scale_search<int8> search(x, n);
    const float most = largest(x, n);
    for (int q = 127; q >= 120; --q) search.consider(most / static_cast<float>(q));
    return search.best();
  }
  /// The stored byte.
  static unsigned code(float x, float scale) noexcept { return nearest_code(x, scale, -127, 127, 128); }
};

static_assert(quant_format<int8>);

}  // namespace rwkv7::quant
