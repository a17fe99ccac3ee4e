// SPDX-License-Identifier: MIT
/// Reads the golden .safetensors files. Shares no code with the library's own reader, which it also tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace rwkv7_test {

template <class T>
struct stored_tensor {
  std::vector<std::int64_t> shape;
  std::vector<T> values;
};

class safetensors_file {
 public:
  explicit safetensors_file(const std::string& path) : path_(path) {
    std::ifstream stream(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(stream), {}};
    std::uint64_t size = 0;
    if (all.size() < sizeof size) throw std::runtime_error(path + ": cannot be read");
    std::memcpy(&size, all.data(), sizeof size);
    header_ = nlohmann::json::parse(all.substr(sizeof size, size));
    data_ = all.substr(sizeof size + size);
  }

  /// A tensor of F64 or F32 as T = double, of I64 as T = std::int64_t.
  template <class T>
  stored_tensor<T> get(const std::string& name) const {
    if (!header_.contains(name)) throw std::runtime_error(path_ + ": has no tensor " + name);
    const auto& entry = header_[name];
    const auto type = entry["dtype"].get<std::string>();
    const auto begin = entry["data_offsets"][0].get<std::size_t>(), end = entry["data_offsets"][1].get<std::size_t>();
    stored_tensor<T> tensor{entry["shape"].get<std::vector<std::int64_t>>(), {}};
    const std::string bytes = data_.substr(begin, end - begin);
    if constexpr (std::is_same_v<T, std::int64_t>) {
      if (type == "I64") return tensor.values = converted<std::int64_t, T>(bytes), tensor;
    } else {
      if (type == "F64") return tensor.values = converted<double, T>(bytes), tensor;
      if (type == "F32") return tensor.values = converted<float, T>(bytes), tensor;
    }
    throw std::runtime_error(path_ + ": " + name + " has another element type: " + type);
  }
  bool has(const std::string& name) const { return header_.contains(name); }

  /// The metadata entry of this name; all of them are JSON in these files.
  nlohmann::json metadata(const std::string& name) const {
    return nlohmann::json::parse(header_.at("__metadata__").at(name).get<std::string>());
  }
  std::vector<std::string> metadata_names() const {
    std::vector<std::string> names;
    for (const auto& item : header_.at("__metadata__").items()) names.push_back(item.key());
    return names;
  }

 private:
  template <class Stored, class T>
  static std::vector<T> converted(const std::string& bytes) {
    std::vector<Stored> stored(bytes.size() / sizeof(Stored));
    if (!stored.empty()) std::memcpy(stored.data(), bytes.data(), stored.size() * sizeof(Stored));
    return std::vector<T>(stored.begin(), stored.end());
  }

  std::string path_;
  nlohmann::json header_;
  std::string data_;
};

}  // namespace rwkv7_test
