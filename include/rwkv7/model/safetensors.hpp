// SPDX-License-Identifier: MIT
/// Reads .safetensors files: 8 bytes header size, a JSON header, then the tensors' bytes without a gap.
///
/// Nothing in the file is trusted: a tensor whose name, element type, shape or place is wrong is named in the error.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7 {

namespace detail {

/// Follows the JSON parser through the header, event by event: memory is that of the tensors it names, and reading ends
/// at the first fault. Every function returns false to end it.
class safetensors_header {
 public:
  safetensors_header(tensor_file& file, std::span<const std::byte> data, diagnosis& problem)
      : file_(file), data_(data), problem_(problem) {}

  bool start_object(std::size_t) {
    if (++depth_ > 2 || (depth_ == 2 && list_)) return misplaced();
    return true;
  }
  bool end_object() {
    fields_.clear();
    return --depth_ == 0 || name_ == metadata || add_tensor();
  }
  bool key(std::string& text) {
    if (!(depth_ == 1 ? names_ : fields_).insert(text).second) return complain(text, "occurs twice in the header");
    if (depth_ == 2) return field_ = std::move(text), true;
    name_ = std::move(text);
    dtype_.reset(), shape_.reset(), offsets_.reset();
    return true;
  }
  bool start_array(std::size_t) {
    list_ = depth_ != 2 || list_ || name_ == metadata ? nullptr
            : field_ == "shape"                       ? &shape_.emplace()
            : field_ == "data_offsets"                ? &offsets_.emplace()
                                                      : nullptr;
    return list_ || misplaced();
  }
  bool end_array() { return list_ = nullptr, true; }
  bool number_unsigned(std::uint64_t n) {
    if (!list_ || list_->size() == most_axes) return misplaced();
    return list_->push_back(n), true;
  }
  bool string(std::string& text) {
    if (depth_ != 2 || list_) return misplaced();
    if (name_ == metadata) return file_.metadata.emplace(field_, std::move(text)), true;
    if (field_ != "dtype") return misplaced();
    return dtype_ = std::move(text), true;
  }
  bool null() { return misplaced(); }
  bool boolean(bool) { return misplaced(); }
  bool number_integer(std::int64_t) { return misplaced(); }
  bool number_float(double, const std::string&) { return misplaced(); }
  bool binary(std::vector<std::uint8_t>&) { return misplaced(); }
  template <class Exception>
  bool parse_error(std::size_t, const std::string&, const Exception&) {
    return complain("header", "is not a JSON object");
  }

 private:
  static constexpr std::size_t most_axes = 16;
  static constexpr std::string_view metadata = "__metadata__";

  /// An event where none of its kind belongs.
  bool misplaced() {
    if (depth_ == 0) return complain("header", "is not a JSON object");
    return complain(name_, name_ == metadata ? "wants texts"
                                             : "wants dtype, shape and data_offsets, a text and two lists of counts");
  }

  bool add_tensor() {
    if (!dtype_ || !shape_ || !offsets_ || offsets_->size() != 2) return misplaced();
    const auto begin = (*offsets_)[0], end = (*offsets_)[1];
    if (begin > end || end > data_.size())
      return complain(name_, "data_offsets: got " + std::to_string(begin) + " to " + std::to_string(end) +
                                 ", want a range in 0 to " + std::to_string(data_.size()));
    const auto type = storage_named(*dtype_);
    if (!type || traits_of(*type).elements > 1)
      return complain(name_, "has an unknown dtype: got " + shown(*dtype_, 20));
    stored_tensor tensor{.name = name_, .type = *type};
    std::string text = "[";
    for (const std::uint64_t n : *shape_) {
      text += (text.size() > 1 ? "," : "") + std::to_string(n);
      tensor.shape.push_back(n > std::uint64_t{std::numeric_limits<index_t>::max()} ? -1 : static_cast<index_t>(n));
    }
    text = shown(text + "]", 60);
    const auto size = dense_bytes(*type, tensor.shape);
    if (!size) return complain(name_, "has a shape of too many elements: got " + text);
    if (*size != end - begin)
      return complain(name_, "bytes: got " + std::to_string(end - begin) + ", want " + std::to_string(*size) + " for " +
                                 *dtype_ + " " + text);
    tensor.strides = dense_strides(tensor.shape);
    tensor.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    file_.tensors.push_back(std::move(tensor));
    return true;
  }

  bool complain(std::string_view subject, const std::string& what) {
    problem_.complain("rwkv7::safetensors: %s: %s: %s", file_.name.c_str(), shown(subject, 60).c_str(), what.c_str());
    return false;
  }

  tensor_file& file_;
  std::span<const std::byte> data_;
  diagnosis& problem_;
  int depth_ = 0;                         // objects around the event
  std::string name_, field_;              // the last key of either
  std::set<std::string> names_, fields_;  // all of them
  std::optional<std::string> dtype_;      // of the entry so far
  std::optional<std::vector<std::uint64_t>> shape_, offsets_;
  std::vector<std::uint64_t>* list_ = nullptr;  // the one inside which the event is
};

/// In the order of their places, the tensors follow each other without gap or overlap, from the first byte to the last.
inline void check_places(const tensor_file& file, std::span<const std::byte> data, diagnosis& problem) {
  std::vector<const stored_tensor*> order;
  for (const auto& tensor : file.tensors) order.push_back(&tensor);
  const auto end_of = [](const stored_tensor& t) { return t.bytes.data() + t.bytes.size(); };
  std::sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
    return std::pair(a->bytes.data(), end_of(*a)) < std::pair(b->bytes.data(), end_of(*b));
  });
  const std::byte* at = data.data();
  for (const auto* tensor : order) {
    if (tensor->bytes.data() != at)
      return problem.complain(
          "rwkv7::safetensors: %s: %s: first byte of its data: got %lld, want %lld, where the %s", file.name.c_str(),
          shown(tensor->name, 60).c_str(), static_cast<long long>(tensor->bytes.data() - data.data()),
          static_cast<long long>(at - data.data()), at == data.data() ? "data begin" : "tensor before it ends");
    at = end_of(*tensor);
  }
  if (at != data.data() + data.size())
    problem.complain("rwkv7::safetensors: %s: data size: got %zu, want %lld, where the last tensor ends",
                     file.name.c_str(), data.size(), static_cast<long long>(at - data.data()));
}

/// Texts of the metadata that begin so say of a U8 tensor what it is: "rwkv7.quantised.head.weight": "int8 256 64".
inline constexpr std::string_view quantised_entry = "rwkv7.quantised.";

/// Tensors that are quantised matrices become what they are; docs/quantised.md has the format.
inline void read_quantised(tensor_file& file, diagnosis& problem) {
  const auto complain = [&](const std::string& name, const std::string& what) {
    problem.complain("rwkv7::safetensors: %s: %s: %s", file.name.c_str(), shown(name, 60).c_str(), what.c_str());
  };
  for (auto entry = file.metadata.lower_bound(std::string(quantised_entry));
       entry != file.metadata.end() && entry->first.starts_with(quantised_entry) && !problem;
       entry = file.metadata.erase(entry)) {
    const std::string name = entry->first.substr(quantised_entry.size());
    const auto* found = file.find(name);
    if (!found) return complain(name, "is said to be quantised, but is not there");
    auto& tensor = file.tensors[static_cast<std::size_t>(found - file.tensors.data())];
    const std::string_view text = entry->second;
    const auto end = text.find(' ');
    std::optional<storage> type;
    for (const auto each : {dtype::int8, dtype::int8_rows, dtype::int4, dtype::nf4})
      if (text.substr(0, end) == name_of(each)) type = storage_of(each);
    if (!type)
      return complain(name, "quantised: got '" + shown(entry->second, 40) + "', want int8, int8_rows, int4 or nf4");
    std::vector<index_t> shape(2);
    const char *at = text.data() + std::min(end, text.size()), *const last = text.data() + text.size();
    bool read = true;
    for (auto& extent : shape) {
      const auto number = at == last || *at != ' ' ? std::from_chars_result{at, std::errc::invalid_argument}
                                                   : std::from_chars(at + 1, last, extent);
      read = read && number.ec == std::errc();
      at = number.ptr;
    }
    const auto size = dense_bytes(*type, shape);
    if (!read || at != last || !size)
      return complain(name, "quantised: got '" + shown(entry->second, 40) + "', want '" +
                                name_of(*quantised_type(*type)) + " ROWS COLUMNS', columns a multiple of " +
                                std::to_string(quantised_block(*quantised_type(*type))));
    if (tensor.type != storage::u8 || tensor.shape.size() != 1 || tensor.bytes.size() != *size)
      return complain(name, "bytes: got " + std::to_string(tensor.bytes.size()) + " of " +
                                std::string(traits_of(tensor.type).name) + ", want " + std::to_string(*size) +
                                " of U8 for " + shown(entry->second, 40));
    tensor.type = *type;
    tensor.shape = shape;
    tensor.strides = dense_strides(shape);
  }
}

inline diagnosis read_safetensors(tensor_file& file, std::span<const std::byte> bytes) {
  constexpr std::uint64_t max_header_size = 100'000'000;  // that of the format's own reader
  diagnosis problem;
  const auto complain = [&](const char* what, std::uint64_t got, const std::string& want) {
    problem.complain("rwkv7::safetensors: %s: %s: got %llu, want %s", file.name.c_str(), what,
                     static_cast<unsigned long long>(got), want.c_str());
    return problem;
  };
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) return complain("file size", bytes.size(), "at least 8");
  std::memcpy(&size, bytes.data(), sizeof size);
  const auto rest = bytes.subspan(sizeof size);
  if (size > max_header_size) return complain("header size", size, "at most " + std::to_string(max_header_size));
  if (size > rest.size())
    return complain("file size", bytes.size(), std::to_string(size + sizeof size) + " for the header alone");
  const auto* text = reinterpret_cast<const char*>(rest.data());
  const auto data = rest.subspan(static_cast<std::size_t>(size));
  safetensors_header header(file, data, problem);
  nlohmann::json::sax_parse(text, text + size, &header);
  if (!problem) check_places(file, data, problem);
  if (!problem) finish_tensors(file, problem);
  if (!problem) read_quantised(file, problem);
  return problem;
}

}  // namespace detail

/// Opens and checks a whole .safetensors file; metadata are the texts of its `__metadata__`, without those that say
/// which tensors are quantised matrices. rwkv7::error names the
/// file and the tensor; where exceptions are off the result is then empty.
inline tensor_file open_safetensors(const std::filesystem::path& path) {
  return detail::open_tensors(path, "safetensors", detail::read_safetensors);
}

}  // namespace rwkv7
