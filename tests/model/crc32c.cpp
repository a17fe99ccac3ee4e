// SPDX-License-Identifier: MIT
#include "rwkv7/model/crc32c.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "support/pattern.hpp"

using rwkv7::crc32c;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> counting(int count, int first, int step) {
  std::vector<std::byte> all;
  for (int i = 0; i < count; ++i) all.push_back(static_cast<std::byte>(first + i * step));
  return all;
}

/// Bit by bit, as the polynomial division is written down.
std::uint32_t divided(std::span<const std::byte> all) {
  std::uint32_t rest = 0xffffffffu;
  for (const std::byte b : all)
    for (int bit = 0; bit < 8; ++bit) {
      const bool out = ((rest ^ (std::to_integer<std::uint32_t>(b) >> bit)) & 1u) != 0;
      rest = (rest >> 1) ^ (out ? 0x82f63b78u : 0u);
    }
  return ~rest;
}

}  // namespace

TEST_CASE("published check values") {
  CHECK(crc32c(bytes("123456789")) == 0xe3069283u);
  CHECK(crc32c({}) == 0);
  // RFC 3720, appendix B.4.
  CHECK(crc32c(std::vector<std::byte>(32)) == 0x8a9136aau);
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xff})) == 0x62a8ab43u);
  CHECK(crc32c(counting(32, 0, 1)) == 0x46dd794eu);
  CHECK(crc32c(counting(32, 31, -1)) == 0x113fdb5cu);
  std::vector<std::byte> read_command(48);  // a SCSI read (10)
  const std::pair<std::size_t, int> set[] = {{0, 0x01},  {1, 0xc0},  {16, 0x14}, {22, 0x04},
                                             {27, 0x14}, {31, 0x18}, {32, 0x28}, {40, 0x02}};
  for (const auto& [at, value] : set) read_command[at] = static_cast<std::byte>(value);
  CHECK(crc32c(read_command) == 0xd9963a56u);
}

TEST_CASE("every length and every cut gives what division bit by bit gives") {
  std::vector<std::byte> all;
  const rwkv7_test::pattern_stream stream("crc32c");
  for (int i = 0; i < 67; ++i) all.push_back(static_cast<std::byte>(stream.u24(i)));
  for (std::size_t size = 0; size <= all.size(); ++size) {
    const auto whole = std::span<const std::byte>(all).first(size);
    CHECK(crc32c(whole) == divided(whole));
    for (std::size_t cut = 0; cut <= size; ++cut)
      CHECK(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == crc32c(whole));
  }
}

TEST_CASE("a constant expression") {
  static constexpr std::byte one{0};
  static_assert(crc32c(std::span(&one, 1)) == 0x527d5351u);
  CHECK(divided(std::span(&one, 1)) == 0x527d5351u);
}
