// SPDX-License-Identifier: MIT
/// Writes GGUF files, version 3, little-endian.
#pragma once

#include <variant>

#include "rwkv7/model/gguf.hpp"
#include "rwkv7/model/whole_file.hpp"

namespace rwkv7 {

/// A metadata entry.
struct gguf_entry {
  std::string key;  // "general.architecture"
  /// u32, f32, text, or a list of texts or of i32.
  std::variant<std::uint32_t, float, std::string, std::vector<std::string>, std::vector<std::int32_t>> value;
};

namespace detail {

/// Bytes of a GGUF header, growing.
class gguf_header {
 public:
  template <class T>
  void number(T value) {
    const auto* from = reinterpret_cast<const char*>(&value);
    bytes_.append(from, sizeof value);
  }
  void type(gguf_value t) { number(static_cast<std::uint32_t>(t)); }
  void text(std::string_view value) {
    number(static_cast<std::uint64_t>(value.size()));
    bytes_.append(value);
  }
  void entry(const gguf_entry& e) {
    text(e.key);
    std::visit([&](const auto& value) { write(value); }, e.value);
  }
  /// Zeros up to a multiple of 32.
  void align() { bytes_.resize((bytes_.size() + 31) / 32 * 32); }
  std::span<const std::byte> bytes() const noexcept { return std::as_bytes(std::span(bytes_)); }

 private:
  void write(std::uint32_t value) { type(gguf_value::u32), number(value); }
  void write(float value) { type(gguf_value::f32), number(value); }
  void write(const std::string& value) { type(gguf_value::text), text(value); }
  void write(const std::vector<std::string>& list) {
    begin_list(gguf_value::text, list.size());
    for (const auto& item : list) text(item);
  }
  void write(const std::vector<std::int32_t>& list) {
    begin_list(gguf_value::i32, list.size());
    for (const auto item : list) number(item);
  }
  void begin_list(gguf_value item, std::size_t count) {
    type(gguf_value::list);
    type(item);
    number(static_cast<std::uint64_t>(count));
  }
  std::string bytes_ = "GGUF";
};

}  // namespace detail

/// Writes the entries and the tensors in their order, each as it is; a strided one in row-major order. The file is
/// complete or not there. Complains about an element type that GGUF has no number for, and where the file cannot be
/// written. `each(bytes)` is called as data are written.
template <class Each>
diagnosis write_gguf(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors,
                     const std::vector<gguf_entry>& entries, Each&& each) {
  diagnosis problem;
  detail::gguf_header header;
  header.number(std::uint32_t{3});
  header.number(static_cast<std::uint64_t>(tensors.size()));
  header.number(static_cast<std::uint64_t>(entries.size()));
  for (const auto& entry : entries) header.entry(entry);
  std::uint64_t at = 0;
  for (const auto& tensor : tensors) {
    const auto type = written_type(tensor, true);
    const auto known = std::find_if(detail::gguf_types.begin(), detail::gguf_types.end(),
                                    [&](const auto& t) { return t.second == type; });
    const auto size = dense_bytes(type, tensor.shape);
    if (known == detail::gguf_types.end() || !size) {
      problem.complain("rwkv7::gguf: %s: %s: has no place in this format: %s", detail::shown(path).c_str(),
                       detail::shown(tensor.name, 60).c_str(), std::string(traits_of(tensor.type).name).c_str());
      return problem;
    }
    header.text(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t a = tensor.shape.size(); a-- > 0;) header.number(static_cast<std::uint64_t>(tensor.shape[a]));
    header.number(known->first);
    header.number(at);
    at += (*size + 31) / 32 * 32;
  }
  header.align();
  whole_file file(path);
  file.write(header.bytes());
  constexpr std::array<std::byte, 32> zeros{};
  for (const auto& tensor : tensors)
    for_written_bytes(tensor, true, [&](std::span<const std::byte> bytes) {
      file.write(bytes);
      file.write(std::span(zeros).first((32 - bytes.size() % 32) % 32));
      each(bytes.size());
    });
  return file.commit();
}

}  // namespace rwkv7
