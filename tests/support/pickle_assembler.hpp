// SPDX-License-Identifier: MIT
/// Pickles, instruction by instruction, right ones and wrong ones. Shares no code with the library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rwkv7_test::pickle {

using namespace std::string_literals;

// Not inline, so that they are there before the strings which a test makes of them.
const std::string proto = "\x80\x02", stop = ".", mark = "(", none = "N", dict = "}", setitem = "s", setitems = "u",
                  tuple = "t", reduce = "R", persistent_id = "Q", build = "b";

inline std::string number(std::uint64_t value, std::size_t width) {
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}
inline std::string text(const std::string& s) { return "X" + number(s.size(), 4) + s; }
/// In 64 bits, whatever its size.
inline std::string integer(std::int64_t n) { return "\x8a\x08" + number(static_cast<std::uint64_t>(n), 8); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string put(std::uint32_t place) { return "r" + number(place, 4); }
inline std::string get(std::uint32_t place) { return "j" + number(place, 4); }
inline std::string integers(const std::vector<std::int64_t>& values) {
  std::string code = mark;
  for (const auto n : values) code += integer(n);
  return code + tuple;
}
inline std::string storage(const std::string& type, const std::string& key, std::int64_t elements) {
  return mark + text("storage") + global("torch", type) + text(key) + text("cpu") + integer(elements) + tuple +
         persistent_id;
}
/// A tensor in the storage that `storage_code` pushes.
inline std::string tensor(const std::string& storage_code, std::int64_t offset, const std::vector<std::int64_t>& shape,
                          const std::vector<std::int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") + mark + storage_code + integer(offset) + integers(shape) +
         integers(strides) + "\x89" + global("collections", "OrderedDict") + ")" + reduce + tuple + reduce;
}
/// A dictionary of what the items push: key, value, key, value, …
inline std::string program(const std::string& items) { return proto + dict + mark + items + setitems + stop; }

}  // namespace rwkv7_test::pickle
