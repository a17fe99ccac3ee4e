// SPDX-License-Identifier: MIT
/// 8 bits with one scale for every row: 8 bits per weight.
#pragma once

#include "rwkv7/quant/format.hpp"

namespace rwkv7::quant {

/// value = scale · q, q = -127 … 127, scale in f32.
///
/// Error: at most half of the largest magnitude of the row / 127: where a row has outliers, its small weights lose.
struct int8_rows {
  static constexpr dtype type = dtype::int8_rows;  // in weights<2>
  /// For the n weights of a row.
  static float scale(const float* x, index_t n) noexcept { return largest(x, n) / 127; }
  /// The stored byte.
  static unsigned code(float x, float scale) noexcept { return nearest_code(x, scale, -127, 127, 128); }
};

static_assert(quant_format<int8_rows>);

}  // namespace rwkv7::quant
