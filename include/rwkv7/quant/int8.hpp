// SPDX-License-Identifier: MIT
/// 8 bits with a scale for every 32 neighbours of a row: 8.5 bits per weight.
#pragma once

#include "rwkv7/quant/format.hpp"

namespace rwkv7::quant {

/// value = scale · q, q = -127 … 127, scale in bf16.
///
/// Error: at most 0.51 of the largest magnitude of the block / 127 (half a step, and what rounding the scale down cuts
/// from the largest). The scale is, of the bf16 numbers around that quotient, the one of least squared error.
struct int8 {
  static constexpr dtype type = dtype::int8;  // in weights<2>
  /// For n neighbours.
  static float scale(const float* x, index_t n) noexcept {
    scale_search<int8> search(x, n);
    const float full = largest(x, n) / 127;
    // The range of 1 % below the quotient, in steps of bf16 (at least 2^-8 of the number).
    for (const float part : {1.0f, 1 - 0x1p-8f, 1 - 0x1p-7f}) search.consider(full * part);
    return search.best();
  }
  /// The stored byte.
  static unsigned code(float x, float scale) noexcept { return nearest_code(x, scale, -127, 127, 128); }
};

static_assert(quant_format<int8>);

}  // namespace rwkv7::quant
