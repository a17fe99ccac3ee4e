// SPDX-License-Identifier: MIT
/// Zip archives of stored entries, right ones and wrong ones. Shares no code with the library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rwkv7_test {

/// An entry, and what its headers say where that is not the truth.
struct zip_part {
  std::string name, bytes;
  unsigned method = 0, flags = 0;
  std::optional<std::size_t> size{};              // of the entry's bytes
  std::optional<std::size_t> unquantised_size{};  // that it would have unpacked
  std::optional<std::size_t> local_header_at{};   // in the directory
};

/// The archive; `said_count` is the number of entries its end tells of.
inline std::string zip_bytes(const std::vector<zip_part>& parts, std::optional<std::size_t> said_count = {}) {
  const auto number = [](std::size_t value, std::size_t width) {
    std::string bytes;
    for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
    return bytes;
  };
  std::string all, directory;
  for (const auto& part : parts) {
    const auto size = part.size.value_or(part.bytes.size());
    // version, flags, method, time, date, checksum, sizes, length of the name, length of extra fields
    const std::string common = number(20, 2) + number(part.flags, 2) + number(part.method, 2) + number(0, 8) +
                               number(size, 4) + number(part.unquantised_size.value_or(size), 4) +
                               number(part.name.size(), 2) + number(0, 2);
    directory += "PK\1\2" + number(20, 2) + common + std::string(10, '\0') +
                 number(part.local_header_at.value_or(all.size()), 4) + part.name;
    all += "PK\3\4" + common + part.name + part.bytes;
  }
  const auto count = number(said_count.value_or(parts.size()), 2);
  const auto start = all.size();
  return all + directory + "PK\5\6" + number(0, 4) + count + count + number(directory.size(), 4) + number(start, 4) +
         number(0, 2);
}

}  // namespace rwkv7_test
