// SPDX-License-Identifier: MIT
/// How checkpoint files store elements: plain numbers, ggml's blocks of 32 numbers with a scale, and the quantised
/// matrices of core/quantised.hpp.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "rwkv7/core/quantised.hpp"

namespace rwkv7 {

/// An element type as files have it.
enum class storage : std::uint8_t {
  f32,
  f16,
  bf16,
  f64,
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f8_e4m3,
  f8_e5m2,
  q4_0,
  q5_0,
  q5_1,
  q8_0,
  int8,
  int8_rows,
  int4,
  nf4
};

/// What is to be known of a storage.
struct storage_traits {
  std::string_view name;    // as .safetensors and ggml spell it
  index_t elements, bytes;  // so many neighbours take so many bytes; a quantised matrix is filled up beside them
};

/// In the order of storage.
inline constexpr std::array<storage_traits, 23> storage_table{{
    {"F32", 1, 4},    {"F16", 1, 2},     {"BF16", 1, 2},        {"F64", 1, 8},    {"BOOL", 1, 1},   {"U8", 1, 1},
    {"I8", 1, 1},     {"U16", 1, 2},     {"I16", 1, 2},         {"U32", 1, 4},    {"I32", 1, 4},    {"U64", 1, 8},
    {"I64", 1, 8},    {"F8_E4M3", 1, 1}, {"F8_E5M2", 1, 1},     {"Q4_0", 32, 18}, {"Q5_0", 32, 22}, {"Q5_1", 32, 24},
    {"Q8_0", 32, 34}, {"INT8", 32, 34},  {"INT8_ROWS", 32, 32}, {"INT4", 32, 18}, {"NF4", 64, 34},
}};

/// Those of one storage.
constexpr storage_traits traits_of(storage s) noexcept { return storage_table[static_cast<std::size_t>(s)]; }

/// The storage of this name ("BF16"), or nothing.
constexpr std::optional<storage> storage_named(std::string_view name) noexcept {
  for (std::size_t s = 0; s < storage_table.size(); ++s)
    if (storage_table[s].name == name) return static_cast<storage>(s);
  return {};
}

/// The format of a quantised matrix, or nothing.
constexpr std::optional<dtype> quantised_type(storage s) noexcept {
  if (s < storage::int8) return {};
  return static_cast<dtype>(static_cast<int>(dtype::int8) + static_cast<int>(s) - static_cast<int>(storage::int8));
}
/// How files store a type of ours.
constexpr storage storage_of(dtype type) noexcept {
  if (type == dtype::f32) return storage::f32;
  if (type == dtype::f16) return storage::f16;
  if (type == dtype::bf16) return storage::bf16;
  return static_cast<storage>(static_cast<int>(storage::int8) + static_cast<int>(type) - static_cast<int>(dtype::int8));
}

/// The 32 numbers of one block, as ggml decodes them: d q, or d q + m for Q5_1, in float.
///
///   Q4_0   f16 d, 16 bytes                q = nibble - 8
///   Q5_0   f16 d, u32 high, 16 bytes      q = (nibble | bit of high << 4) - 16
///   Q5_1   f16 d, f16 m, u32 high, …      q = nibble | bit of high << 4
///   Q8_0   f16 d, 32 bytes                q = signed byte
///
/// Low nibbles are elements 0 … 15, high ones 16 … 31. d q is exact; only the sum of Q5_1 rounds.
inline void decode_block(storage type, const std::byte* block, std::span<float, 32> values) noexcept {
  const auto read_f16 = [&](index_t offset) {
    f16 x{};
    std::memcpy(&x.bits, block + offset, sizeof x.bits);
    return x.to_float();
  };
  const float d = read_f16(0);
  if (type == storage::q8_0) {
    for (std::size_t n = 0; n < 32; ++n)
      values[n] = d * static_cast<float>(static_cast<signed char>(std::to_integer<unsigned char>(block[2 + n])));
    return;
  }
  const bool has_high = type != storage::q4_0, has_minimum = type == storage::q5_1;
  const float m = has_minimum ? read_f16(2) : 0;
  const std::size_t at = has_minimum ? 4 : 2;
  std::uint32_t high = 0;
  if (has_high) std::memcpy(&high, block + at, sizeof high);
  const std::byte* nibbles = block + at + (has_high ? sizeof high : 0);
  const int zero = has_minimum ? 0 : has_high ? 16 : 8;
  for (std::size_t n = 0; n < 32; ++n) {
    const auto pair = std::to_integer<unsigned>(nibbles[n % 16]);
    const unsigned q = (n < 16 ? pair & 15u : pair >> 4) | (high >> n & 1u) << 4;
    values[n] = d * static_cast<float>(static_cast<int>(q) - zero) + m;
  }
}

}  // namespace rwkv7
