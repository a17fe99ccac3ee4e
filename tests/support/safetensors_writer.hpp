// SPDX-License-Identifier: MIT
/// Writes .safetensors files, right ones and wrong ones, where a test can find and forget them.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "rwkv7/core/dtype.hpp"

namespace rwkv7_test {

/// A tensor as a file holds it.
struct file_tensor {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline file_tensor f32_tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                              const std::vector<float>& values) {
  return {name, "F32", shape, bytes_of(values)};
}

/// An F32 tensor with every value rounded to F16 or BF16: stored so, or again as F32.
template <class Narrow>
file_tensor rounded(const file_tensor& tensor, bool store_narrow) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  std::vector<Narrow> narrow;
  for (float& x : values) {
    narrow.push_back(Narrow::from_float(x));
    x = narrow.back().to_float();
  }
  constexpr bool half = std::is_same_v<Narrow, rwkv7::f16>;
  if (!store_narrow) return f32_tensor(tensor.name, tensor.shape, values);
  return {tensor.name, half ? "F16" : "BF16", tensor.shape, bytes_of(narrow)};
}

/// A file of this header text and data, whatever they say.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  std::string size(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return size + header + data;
}

/// A file of these tensors, in this order, its data on a multiple of 8 bytes.
inline std::string safetensors_bytes(const std::vector<file_tensor>& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return safetensors_bytes(text, data);
}

/// A file that lives as long as the object.
class temporary_file {
 public:
  explicit temporary_file(const std::string& content) {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("rwkv7_test_" + std::to_string(std::random_device{}()) + "_" + std::to_string(count++) + ".safetensors");
    write(content);
  }
  ~temporary_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  void write(const std::string& content) const {
    std::ofstream(path_, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  /// Replaces as many bytes at the beginning.
  void overwrite(const std::string& beginning) const {
    std::fstream(path_, std::ios::binary | std::ios::in | std::ios::out)
        .write(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace rwkv7_test
