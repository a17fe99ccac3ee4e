// SPDX-License-Identifier: MIT
/// State files that are damaged on purpose.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "rwkv7/model/state_file.hpp"
#include "support/compare.hpp"
#include "support/reported.hpp"
#include "support/temporary_folder.hpp"

namespace rwkv7_test {

/// Where one state file after another is written and looked at.
class state_path {
 public:
  std::string path() const { return folder_.file("state"); }
  void write(const std::string& bytes) const {
    // To overwrite is faster than to write anew, by far where the system then forces the new file onto the disk.
    std::error_code failure;
    const bool fits = std::filesystem::file_size(path(), failure) == bytes.size() && !failure;
    std::fstream(path(), fits ? std::ios::binary | std::ios::in | std::ios::out : std::ios::binary | std::ios::out)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  /// What opening it and reading all of it complains about, without the file's name; nothing if nothing. What is
  /// refused writes nothing.
  std::string complaint(const rwkv7::state_format& want) const {
    auto text = reported([&] {
      const auto file = rwkv7::state_file::open(path());
      if (!file) return;
      const auto size = static_cast<rwkv7::index_t>(want.size());
      for (rwkv7::index_t i = 0; i < file.slots(); ++i) {
        std::vector<float> to(static_cast<std::size_t>(size), 12345.0f);
        const auto untouched = to;
        bool complete = false;
#if RWKV7_EXCEPTIONS
        try {
          complete = file.read(want, i, rwkv7::view<float, 1>(to.data(), {size})).has_value();
        } catch (const rwkv7::error&) {
          CHECK(same_bits(to, untouched));
          throw;
        }
#else
        complete = file.read(want, i, rwkv7::view<float, 1>(to.data(), {size})).has_value();
        if (!complete) CHECK(same_bits(to, untouched));
#endif
        if (!complete) return;
      }
    });
    const auto prefix = "rwkv7::state_file: " + path() + ": ";
    return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
  }

 private:
  temporary_folder folder_;
};

/// With other bytes at one place.
template <class Field>
std::string with(std::string bytes, std::size_t at, Field value) {
  return bytes.replace(at, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
}
/// With the checksums of the headers set right, as far as they lie inside.
inline std::string sealed(std::string bytes) {
  const auto seal = [&](std::size_t at) {
    if (at + 8 > bytes.size()) return;
    const auto sum = std::uint64_t{rwkv7::crc32c(std::as_bytes(std::span(bytes)).first(at))};
    bytes = with(std::move(bytes), at, sum);
  };
  seal(56);
  if (bytes[6] != 2 || bytes.size() < 104) return bytes;
  std::uint64_t layers = 0;
  std::memcpy(&layers, bytes.data() + 88, sizeof layers);
  if (layers <= bytes.size() / 8) seal(96 + 8 * static_cast<std::size_t>(layers));
  return bytes;
}

}  // namespace rwkv7_test
