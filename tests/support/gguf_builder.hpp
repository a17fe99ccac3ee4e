// SPDX-License-Identifier: MIT
/// GGUF files byte by byte, right ones and wrong ones. Shares no code with the library.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace rwkv7_test::gguf {

/// A number as the file has it.
template <class T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
inline std::string text(const std::string& s) { return le(std::uint64_t{s.size()}) + s; }

/// A metadata entry: its type's number, and its value's bytes.
inline std::string entry(const std::string& key, std::uint32_t type, const std::string& value) {
  return text(key) + le(type) + value;
}
inline std::string text_entry(const std::string& key, const std::string& value) { return entry(key, 8, text(value)); }
inline std::string u32_entry(const std::string& key, std::uint32_t value) { return entry(key, 4, le(value)); }
inline std::string f32_entry(const std::string& key, float value) { return entry(key, 6, le(value)); }
/// The value of an entry of type 9.
inline std::string list(std::uint32_t type, std::uint64_t count, const std::string& values) {
  return le(type) + le(count) + values;
}

/// A tensor's description; extents innermost first.
inline std::string tensor(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                          std::uint64_t offset) {
  std::string result = text(name) + le(static_cast<std::uint32_t>(extents.size()));
  for (const auto extent : extents) result += le(extent);
  return result + le(type) + le(offset);
}

/// A file of these, `data` from the next multiple of `alignment` on.
inline std::string file(const std::vector<std::string>& entries, const std::vector<std::string>& tensors,
                        const std::string& data, std::size_t alignment = 32, std::uint32_t version = 3) {
  std::string all = "GGUF" + le(version) + le(std::uint64_t{tensors.size()}) + le(std::uint64_t{entries.size()});
  for (const auto& e : entries) all += e;
  for (const auto& t : tensors) all += t;
  all.resize((all.size() + alignment - 1) / alignment * alignment);
  return all + data;
}

}  // namespace rwkv7_test::gguf
