// SPDX-License-Identifier: MIT
/// Reads GGUF files (versions 2 and 3, little-endian): metadata, tensor descriptions, then aligned data.
///
///   "GGUF"  u32 version  u64 tensors  u64 entries
///   entry   text key, u32 type, value        text = u64 length and bytes; a list = u32 type, u64 count, values
///   tensor  text name, u32 axes, u64 extent of each (innermost first), u32 element type, u64 offset into the data
///   data    from the next multiple of general.alignment (32) on
///
/// Nothing in the file is trusted; lists are stepped over.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7 {

namespace detail {

/// GGUF's numbers for the storages this library reads.
inline constexpr std::array<std::pair<std::uint32_t, storage>, 12> gguf_types{{{0, storage::f32},
                                                                               {1, storage::f16},
                                                                               {2, storage::q4_0},
                                                                               {6, storage::q5_0},
                                                                               {7, storage::q5_1},
                                                                               {8, storage::q8_0},
                                                                               {24, storage::i8},
                                                                               {25, storage::i16},
                                                                               {26, storage::i32},
                                                                               {27, storage::i64},
                                                                               {28, storage::f64},
                                                                               {30, storage::bf16}}};

/// A value's type in the metadata.
enum class gguf_value : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };

class gguf_reader {
 public:
  gguf_reader(tensor_file& file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  diagnosis read() {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
      return complain("header", "is not that of GGUF");
    at_ = 4;
    const auto version = number<std::uint32_t>("version");
    if (version < 2 || version > 3) return complain("version", "got " + std::to_string(version) + ", want 2 or 3");
    const auto tensors = number<std::uint64_t>("number of tensors");
    const auto entries = number<std::uint64_t>("number of metadata entries");
    for (std::uint64_t i = 0; i < entries && !problem_; ++i) read_entry();
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < tensors && !problem_; ++i) read_tensor(offsets);
    if (!problem_) place(offsets);
    if (!problem_) finish_tensors(file_, problem_);
    return problem_;
  }

 private:
  template <class T>
  T number(const char* what) {
    T value{};
    if (bytes_.size() - at_ < sizeof value) {
      complain(what, "is behind the end of the file");
    } else {
      std::memcpy(&value, bytes_.data() + at_, sizeof value);
      at_ += sizeof value;
    }
    return problem_ ? T{} : value;
  }
  std::string text(const char* what) {
    const auto size = number<std::uint64_t>(what);
    if (size > bytes_.size() - at_) complain(what, "is behind the end of the file");
    if (problem_) return {};
    at_ += static_cast<std::size_t>(size);
    return {reinterpret_cast<const char*>(bytes_.data()) + at_ - size, static_cast<std::size_t>(size)};
  }

  void read_entry() {
    const auto key = text("metadata key");
    const auto type = number<std::uint32_t>("metadata type");
    if (problem_) return;
    if (type == static_cast<std::uint32_t>(gguf_value::list)) return skip_list(key, 1);
    const auto value = read_value(key, type);
    if (!problem_ && !file_.metadata.emplace(key, value).second) complain(key, "occurs twice");
  }
  std::string read_value(const std::string& key, std::uint32_t type) {
    const auto real = [](double x) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.9g", x);
      return std::string(digits);
    };
    const char* what = key.c_str();
    switch (static_cast<gguf_value>(type)) {
      case gguf_value::u8:
        return std::to_string(number<std::uint8_t>(what));
      case gguf_value::i8:
        return std::to_string(number<std::int8_t>(what));
      case gguf_value::u16:
        return std::to_string(number<std::uint16_t>(what));
      case gguf_value::i16:
        return std::to_string(number<std::int16_t>(what));
      case gguf_value::u32:
        return std::to_string(number<std::uint32_t>(what));
      case gguf_value::i32:
        return std::to_string(number<std::int32_t>(what));
      case gguf_value::f32:
        return real(static_cast<double>(number<float>(what)));
      case gguf_value::boolean:
        return number<std::uint8_t>(what) ? "true" : "false";
      case gguf_value::text:
        return text(what);
      case gguf_value::u64:
        return std::to_string(number<std::uint64_t>(what));
      case gguf_value::i64:
        return std::to_string(number<std::int64_t>(what));
      case gguf_value::f64:
        return real(number<double>(what));
      case gguf_value::list:
        break;
    }
    complain(key, "has an unknown type: got " + std::to_string(type));
    return {};
  }
  void skip_list(const std::string& key, int depth) {
    const auto type = number<std::uint32_t>("type of a list");
    const auto count = number<std::uint64_t>("length of a list");
    if (depth > 4) complain(key, "is a list of lists of lists of lists");
    constexpr std::array<std::uint64_t, 13> sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type >= sizes.size()) complain(key, "has an unknown type: got " + std::to_string(type));
    if (problem_) return;
    if (const auto size = sizes[type]; size > 0) {
      if (count > (bytes_.size() - at_) / size)
        complain(key, "is behind the end of the file");
      else
        at_ += static_cast<std::size_t>(count * size);
      return;
    }
    for (std::uint64_t i = 0; i < count && !problem_; ++i) {  // every item takes at least 8 bytes
      if (type == static_cast<std::uint32_t>(gguf_value::text))
        text(key.c_str());
      else
        skip_list(key, depth + 1);
    }
  }

  void read_tensor(std::vector<std::uint64_t>& offsets) {
    stored_tensor tensor{.name = text("name of a tensor")};
    const auto axes = number<std::uint32_t>("axes of a tensor");
    if (axes > 8) complain(tensor.name, "axes: got " + std::to_string(axes) + ", want at most 8");
    for (std::uint32_t a = 0; a < axes && !problem_; ++a) {
      const auto extent = number<std::uint64_t>("extent of a tensor");
      if (extent > std::uint64_t{std::numeric_limits<index_t>::max()})
        complain(tensor.name, "has a shape of too many elements");
      tensor.shape.insert(tensor.shape.begin(), static_cast<index_t>(extent));
    }
    const auto type = number<std::uint32_t>("element type of a tensor");
    const auto known =
        std::find_if(gguf_types.begin(), gguf_types.end(), [&](const auto& t) { return t.first == type; });
    if (known == gguf_types.end())
      complain(tensor.name,
               "type: got number " + std::to_string(type) + ", want F32, F16, BF16, Q8_0, Q4_0, Q5_0 or Q5_1");
    else
      tensor.type = known->second;
    offsets.push_back(number<std::uint64_t>("offset of a tensor"));
    if (!problem_) file_.tensors.push_back(std::move(tensor));
  }

  /// Gives the tensors their bytes, which lie inside the data and apart from each other.
  void place(const std::vector<std::uint64_t>& offsets) {
    std::uint64_t alignment = 32;
    if (const auto given = file_.metadata.find("general.alignment"); given != file_.metadata.end())
      alignment = std::strtoull(given->second.c_str(), nullptr, 10);
    if (!std::has_single_bit(alignment) || alignment > 65536) {
      complain("general.alignment", "is no power of two up to 65536");
      return;
    }
    const auto start = (at_ + alignment - 1) / alignment * alignment;
    const auto data = bytes_.subspan(static_cast<std::size_t>(std::min<std::uint64_t>(start, bytes_.size())));
    const std::uint64_t room = data.size();
    std::vector<std::size_t> order(offsets.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return offsets[a] < offsets[b]; });
    std::uint64_t end = 0;
    for (const std::size_t i : order) {
      auto& tensor = file_.tensors[i];
      const auto size = dense_bytes(tensor.type, tensor.shape);
      if (!size)
        return void(complain(tensor.name, "has a shape that is no whole number of blocks, or of too many elements"));
      if (offsets[i] > room || *size > room - offsets[i])
        return void(complain(tensor.name, "its data: got " + std::to_string(*size) + " bytes from " +
                                              std::to_string(offsets[i]) + " on, want them in 0 to " +
                                              std::to_string(room)));
      if (offsets[i] % alignment != 0)
        return void(complain(tensor.name, "offset: got " + std::to_string(offsets[i]) + ", want a multiple of " +
                                              std::to_string(alignment)));
      if (*size > 0 && offsets[i] < end) return void(complain(tensor.name, "overlaps the tensor before it"));
      end = std::max(end, offsets[i] + *size);
      tensor.strides = dense_strides(tensor.shape);
      tensor.bytes = data.subspan(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(*size));
    }
  }

  diagnosis complain(std::string_view subject, const std::string& what) {
    problem_.complain("rwkv7::gguf: %s: %s: %s", file_.name.c_str(), shown(subject, 60).c_str(), what.c_str());
    return problem_;
  }

  tensor_file& file_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  diagnosis problem_;
};

inline diagnosis read_gguf(tensor_file& file, std::span<const std::byte> bytes) {
  return gguf_reader(file, bytes).read();
}

}  // namespace detail

/// Opens and checks a whole GGUF file; metadata are its entries except lists. rwkv7::error names the file and the
/// tensor or key; where exceptions are off the result is then empty.
inline tensor_file open_gguf(const std::filesystem::path& path) {
  return detail::open_tensors(path, "gguf", detail::read_gguf);
}

}  // namespace rwkv7
