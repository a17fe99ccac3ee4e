// SPDX-License-Identifier: MIT
/// CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds every single-bit error, and every burst of up to 32 bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rwkv7 {

namespace detail {

/// Entry [k][b]: what byte b adds when k more bytes follow it in its group of eight.
inline constexpr auto crc32c_table = [] {
  std::array<std::array<std::uint32_t, 256>, 8> table{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t x = b;
    for (int bit = 0; bit < 8; ++bit) x = (x >> 1) ^ ((x & 1u) ? 0x82f63b78u : 0u);
    table[0][b] = x;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b) {
      const std::uint32_t before = table[k - 1][b];
      table[k][b] = (before >> 8) ^ table[0][before & 0xffu];
    }
  return table;
}();

}  // namespace detail

/// The checksum of `bytes` behind others whose checksum is `before`: crc32c(y, crc32c(x)) is that of x and y together.
constexpr std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
  const auto& table = detail::crc32c_table;
  std::uint32_t x = ~before;
  while (bytes.size() >= 8) {
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const auto carry = i < 4 ? (x >> (8 * i)) & 0xffu : 0u;
      next ^= table[7 - i][std::to_integer<std::uint32_t>(bytes[i]) ^ carry];
    }
    x = next;
    bytes = bytes.subspan(8);
  }
  for (const std::byte b : bytes) x = (x >> 8) ^ table[0][(x ^ std::to_integer<std::uint32_t>(b)) & 0xffu];
  return ~x;
}

}  // namespace rwkv7
