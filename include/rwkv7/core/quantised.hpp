// SPDX-License-Identifier: MIT
/// How a quantised matrix [rows, columns] lies in memory, the same on every machine, little-endian.
///
///   value(r, k) = scale · code          int8, int8_rows: code = byte - 128;  int4: nibble - 8;  nf4:
///   nf4_values[nibble]
///
/// Panels of 16 rows, the last one filled up with zeros, one after the other. A panel is its blocks of 32 columns (nf4:
/// 64), one after the other; of int8_rows, with 16 scales in f32 behind them. A block is its codes, and but for
/// int8_rows behind them 16 scales in bf16. The codes of a block are groups of 64 bytes:
///
///   8 bits   a group is 4 columns: byte 4 r + j is row r of the panel, column j of the group
///   4 bits   a group is 8 columns: byte 4 r + j holds column j in its low nibble, column 4 + j in its high one
///
/// Sixteen rows side by side, because then the lanes of a register are rows: a group is multiplied by four inputs
/// broadcast to all lanes (what the dot instructions of x86 and ARM take), and no lane is ever summed across. Scales
/// beside their codes, because then a product reads one stream of memory, which is faster than two. No part needs an
/// alignment.
#pragma once

#include <cstring>

#include "rwkv7/core/dtype.hpp"

namespace rwkv7 {

/// Rows of a panel.
inline constexpr index_t panel_rows = 16;

/// The sixteen values of NormalFloat4: quantiles of the normal distribution, scaled to [-1, 1] with 0 among them
/// (Dettmers et al. 2023, QLoRA, appendix E).
inline constexpr float nf4_values[16] = {
    -1.0f,          -0.6961928f,    -0.52507305f,   -0.39491749f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f,
    0.07958029956f, 0.16093020141f, 0.24611230195f, 0.33791524f,  0.44070983f,  0.562617f,    0.72295684f,   1.0f};

/// Neighbours of a row that share a scale, of a format with a scale per block. int8_rows has one per row, of any whole
/// number of these.
RWKV7_INLINE constexpr index_t quantised_block(dtype t) noexcept { return t == dtype::nf4 ? 64 : 32; }

namespace detail {

/// Where what is in a packed matrix.
struct quantised_layout {
  dtype type;
  index_t rows, columns;

  RWKV7_INLINE constexpr index_t panels() const noexcept { return (rows + panel_rows - 1) / panel_rows; }
  RWKV7_INLINE constexpr bool nibbles() const noexcept { return type == dtype::int4 || type == dtype::nf4; }
  RWKV7_INLINE constexpr bool by_rows() const noexcept { return type == dtype::int8_rows; }
  RWKV7_INLINE constexpr index_t block() const noexcept { return quantised_block(type); }
  /// Bytes of the codes of one block, of the block, of a panel, of all.
  RWKV7_INLINE constexpr index_t block_codes() const noexcept { return panel_rows * block() / (nibbles() ? 2 : 1); }
  RWKV7_INLINE constexpr index_t block_size() const noexcept {
    return block_codes() + (by_rows() ? 0 : panel_rows * 2);
  }
  RWKV7_INLINE constexpr index_t panel_size() const noexcept {
    return columns / block() * block_size() + (by_rows() ? panel_rows * 4 : 0);
  }
  RWKV7_INLINE constexpr index_t size() const noexcept { return panels() * panel_size(); }

  /// The first byte of what holds this element.
  RWKV7_INLINE constexpr index_t block_at(index_t r, index_t k) const noexcept {
    return r / panel_rows * panel_size() + k / block() * block_size();
  }
  /// The byte with its code, and how far it is to be shifted right.
  RWKV7_INLINE constexpr index_t code_at(index_t r, index_t k) const noexcept {
    const index_t group = k % block() / (nibbles() ? 8 : 4);
    return block_at(r, k) + group * 64 + r % panel_rows * 4 + k % 4;
  }
  RWKV7_INLINE constexpr int shift(index_t k) const noexcept { return nibbles() && k % 8 >= 4 ? 4 : 0; }
  /// The first byte of its scale.
  RWKV7_INLINE constexpr index_t scale_at(index_t r, index_t k) const noexcept {
    return by_rows() ? (r / panel_rows + 1) * panel_size() - (panel_rows - r % panel_rows) * 4
                     : block_at(r, k) + block_codes() + r % panel_rows * 2;
  }
};

/// A code as the number that its scale multiplies.
RWKV7_INLINE constexpr double decoded(dtype type, unsigned code) noexcept {
  if (type == dtype::nf4) return static_cast<double>(nf4_values[code]);
  return static_cast<double>(static_cast<int>(code) - (type == dtype::int4 ? 8 : 128));
}

}  // namespace detail

/// Bytes of a packed matrix, whose columns are a multiple of quantised_block.
constexpr std::size_t quantised_size(dtype type, index_t rows, index_t columns) noexcept {
  return static_cast<std::size_t>(detail::quantised_layout{type, rows, columns}.size());
}

/// One element of the packed matrix at `data`, exactly.
RWKV7_INLINE double quantised_value(const void* data, dtype type, index_t rows, index_t columns, index_t r,
                                    index_t k) noexcept {
  const detail::quantised_layout at{type, rows, columns};
  const auto* bytes = static_cast<const unsigned char*>(data);
  const unsigned code = static_cast<unsigned>(bytes[at.code_at(r, k)]) >> at.shift(k) & (at.nibbles() ? 15u : 255u);
  float scale = 0;
  if (type == dtype::int8_rows) {
    std::memcpy(&scale, bytes + at.scale_at(r, k), sizeof scale);
  } else {
    bf16 stored{};
    std::memcpy(&stored.bits, bytes + at.scale_at(r, k), sizeof stored.bits);
    scale = stored.to_float();
  }
  return static_cast<double>(scale) * detail::decoded(type, code);
}

}  // namespace rwkv7
