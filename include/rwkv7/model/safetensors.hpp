// SPDX-License-Identifier: MIT
/// Reads .safetensors files: 8 bytes header size, a JSON header, then the tensors' bytes without a gap.
///
/// Nothing in the file is trusted: a tensor whose name, element type, shape or place is wrong is named in the error.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rwkv7/model/file_map.hpp"

namespace rwkv7 {

static_assert(std::endian::native == std::endian::little, "rwkv7: safetensors files are used in place, little-endian");

struct safetensors_tensor {
  std::string name;
  std::string dtype;  // as the file spells it: "F32", "BF16", …
  std::vector<index_t> shape;
  std::span<const std::byte> bytes;  // dense, row-major; aligned only if the file aligns them
};

/// An open file. Move-only; its tensors' bytes live as long as it does.
class safetensors_file {
 public:
  /// Largest header accepted, that of the format's own reader.
  static constexpr std::uint64_t max_header_size = 100'000'000;

  safetensors_file() = default;

  /// Opens and checks the whole file. rwkv7::error names the file and the tensor; where exceptions are off the result
  /// is then empty.
  static safetensors_file open(const std::filesystem::path& path) {
    safetensors_file result;
    const auto problem = result.read(path);
    if (!problem) return result;
    report(problem);
    return {};
  }

  /// False when nothing is open.
  explicit operator bool() const noexcept { return !file_.bytes().empty(); }
  /// The path, as error messages show it.
  const std::string& name() const noexcept { return name_; }
  /// Sorted by name.
  const std::vector<safetensors_tensor>& tensors() const noexcept { return tensors_; }

 private:
  using json = nlohmann::json;

  diagnosis read(const std::filesystem::path& path) {
    diagnosis problem;
    name_ = detail::shown(path);
    file_ = file_map::open(path, problem);
    if (problem) return problem;
    const auto bytes = file_.bytes();
    std::uint64_t header_size = 0;
    if (bytes.size() < sizeof header_size) return complain(problem, "file size", bytes.size(), "at least 8");
    for (std::size_t i = sizeof header_size; i-- > 0;)
      header_size = header_size << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    if (header_size > max_header_size) return complain(problem, "header size", header_size, "at most 100000000");
    const auto rest = bytes.subspan(sizeof header_size);
    if (header_size > rest.size())
      return complain(problem, "file size", bytes.size(), std::to_string(header_size + 8) + " for the header alone");
    const auto text = rest.first(static_cast<std::size_t>(header_size));
    read_header({reinterpret_cast<const char*>(text.data()), text.size()}, rest.subspan(text.size()), problem);
    return problem;
  }

  void read_header(std::string_view text, std::span<const std::byte> data, diagnosis& problem) {
    // The parser keeps the last of several equal keys; only its events show that there were others.
    std::vector<std::set<std::string>> keys;
    const auto each = [&](int, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::object_start) keys.emplace_back();
      if (event == json::parse_event_t::object_end) keys.pop_back();
      const auto* key = event == json::parse_event_t::key ? value.get_ptr<const std::string*>() : nullptr;
      if (key && !keys.back().insert(*key).second) complain(problem, *key, "occurs twice in the header");
      return true;
    };
    const json header = json::parse(text.begin(), text.end(), each, false);
    if (!header.is_object()) return complain(problem, "header", "is not a JSON object");
    for (const auto& [name, entry] : header.items())
      if (name != "__metadata__" && !problem) read_tensor(name, entry, data, problem);
    if (!problem) check_places(data, problem);
  }

  void read_tensor(const std::string& name, const json& entry, std::span<const std::byte> data, diagnosis& problem) {
    const auto* fields = entry.get_ptr<const json::object_t*>();
    const auto field = [&](const char* key) -> const json* {
      if (!fields) return nullptr;
      const auto found = fields->find(key);
      return found == fields->end() ? nullptr : &found->second;
    };
    const auto *dtype = field("dtype"), *shape = field("shape"), *offsets = field("data_offsets");
    if (!dtype || !dtype->is_string() || !shape || !is_counts(*shape) || !offsets || !is_counts(*offsets) ||
        offsets->size() != 2)
      return complain(problem, name, "wants dtype, shape and data_offsets, a text and two lists of counts");

    const auto begin = (*offsets)[0].get<std::uint64_t>(), end = (*offsets)[1].get<std::uint64_t>();
    if (begin > end || end > data.size())
      return problem.complain("rwkv7::safetensors: %s: %s: data_offsets: got %llu to %llu, want a range in 0 to %llu",
                              name_.c_str(), detail::shown(name, 60).c_str(), static_cast<unsigned long long>(begin),
                              static_cast<unsigned long long>(end), static_cast<unsigned long long>(data.size()));
    safetensors_tensor tensor{name, *dtype->get_ptr<const std::string*>(), {}, {}};
    std::uint64_t size = element_size(tensor.dtype);
    if (size == 0) return complain(problem, name, "has an unknown dtype: got " + detail::shown(tensor.dtype, 20));
    for (const auto& extent : *shape) {
      const auto n = extent.get<std::uint64_t>();
      if (n > static_cast<std::uint64_t>(std::numeric_limits<index_t>::max()) ||
          (n > 0 && size > std::numeric_limits<std::uint64_t>::max() / n))
        return complain(problem, name, "has a shape of too many elements: got " + detail::shown(shape->dump(), 60));
      size *= n;
      tensor.shape.push_back(static_cast<index_t>(n));
    }
    if (size != end - begin)
      return problem.complain("rwkv7::safetensors: %s: %s: bytes: got %llu, want %llu for %s %s", name_.c_str(),
                              detail::shown(name, 60).c_str(), static_cast<unsigned long long>(end - begin),
                              static_cast<unsigned long long>(size), tensor.dtype.c_str(),
                              detail::shown(shape->dump(), 30).c_str());
    tensor.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
    tensors_.push_back(std::move(tensor));
  }

  /// In the order of their places, the tensors follow each other without gap or overlap, from the first byte to the
  /// last.
  void check_places(std::span<const std::byte> data, diagnosis& problem) const {
    std::vector<const safetensors_tensor*> order;
    for (const auto& tensor : tensors_) order.push_back(&tensor);
    const auto end_of = [](const safetensors_tensor& t) { return t.bytes.data() + t.bytes.size(); };
    std::sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
      return std::pair(a->bytes.data(), end_of(*a)) < std::pair(b->bytes.data(), end_of(*b));
    });
    const std::byte* at = data.data();
    for (const auto* tensor : order) {
      if (tensor->bytes.data() != at)
        return problem.complain(
            "rwkv7::safetensors: %s: %s: first byte of its data: got %lld, want %lld, where the %s", name_.c_str(),
            detail::shown(tensor->name, 60).c_str(), static_cast<long long>(tensor->bytes.data() - data.data()),
            static_cast<long long>(at - data.data()), at == data.data() ? "data begin" : "tensor before it ends");
      at = end_of(*tensor);
    }
    if (at != data.data() + data.size())
      complain(problem, "data size", data.size(), std::to_string(at - data.data()) + ", where the last tensor ends");
  }

  static bool is_counts(const json& list) {
    return list.is_array() &&
           std::all_of(list.begin(), list.end(), [](const json& n) { return n.is_number_unsigned(); });
  }
  /// 0 for one that this reader does not know.
  static std::uint64_t element_size(std::string_view dtype) noexcept {
    constexpr std::pair<std::string_view, std::uint64_t> known[] = {
        {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U16", 2}, {"I16", 2}, {"F16", 2},
        {"BF16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},     {"U64", 8},     {"I64", 8}, {"F64", 8}};
    for (const auto& [name, size] : known)
      if (name == dtype) return size;
    return 0;
  }

  void complain(diagnosis& problem, std::string_view subject, std::string_view what) const {
    problem.complain("rwkv7::safetensors: %s: %s: %s", name_.c_str(), detail::shown(subject, 60).c_str(),
                     std::string(what).c_str());
  }
  diagnosis complain(diagnosis& problem, const char* what, std::uint64_t got, const std::string& want) const {
    complain(problem, what, "got " + std::to_string(got) + ", want " + want);
    return problem;
  }

  std::string name_;
  file_map file_;
  std::vector<safetensors_tensor> tensors_;
};

}  // namespace rwkv7
