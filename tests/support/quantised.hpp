// SPDX-License-Identifier: MIT
/// Quantised matrices for tests.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "rwkv7/quant/pack.hpp"
#include "support/pattern.hpp"

namespace rwkv7_test {

inline constexpr rwkv7::dtype quantised_types[] = {rwkv7::dtype::int8, rwkv7::dtype::int8_rows, rwkv7::dtype::int4,
                                                   rwkv7::dtype::nf4};

/// Nearly normal values: sums of twelve uniform ones, as wide as weights are.
inline std::vector<float> normal(std::string_view name, rwkv7::index_t count) {
  const pattern_stream stream(name);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (rwkv7::index_t i = 0; i < count; ++i) {
    float sum = 0;
    for (rwkv7::index_t j = 0; j < 12; ++j) sum += stream(12 * i + j, 0, 0.02f);
    values[static_cast<std::size_t>(i)] = sum;
  }
  return values;
}

inline std::vector<std::byte> packed_matrix(rwkv7::dtype type, const std::vector<float>& values, rwkv7::index_t rows,
                                            rwkv7::index_t columns) {
  std::vector<std::byte> bytes(rwkv7::quantised_size(type, rows, columns));
  rwkv7::quant::pack(type, rwkv7::view<const float, 2>(values.data(), {rows, columns}), bytes);
  return bytes;
}

}  // namespace rwkv7_test
