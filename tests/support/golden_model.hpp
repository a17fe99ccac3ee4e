// SPDX-License-Identifier: MIT
/// The golden models: their checkpoints, made from the metadata, and what NumPy got from them.
#pragma once

#include "rwkv7/model/language_model.hpp"
#include "support/golden.hpp"
#include "support/safetensors_writer.hpp"

namespace rwkv7_test {

class golden_model {
 public:
  /// tests/golden/model_<name>.safetensors
  explicit golden_model(const std::string& name)
      : file_(golden_file("model_" + name)), sizes_(file_.metadata("model")) {}

  /// C, H, H_kv, N, F, V, layers, B, T.
  std::int64_t size(const char* letter) const { return sizes_.at(letter); }
  /// The checkpoint in RWKV-LM's names.
  std::vector<file_tensor> checkpoint() const {
    std::vector<file_tensor> tensors;
    const std::string prefix = sizes_.at("seed").get<std::string>() + "/";
    for (const auto& described : file_.metadata("weights"))
      tensors.push_back(f32_tensor(described["name"], described["shape"], golden_input(described, prefix)));
    return tensors;
  }
  /// [B, T]
  std::vector<std::int32_t> tokens() const {
    const auto ids = file_.get<std::int64_t>("tokens").values;
    return {ids.begin(), ids.end()};
  }
  /// What follows the first sequence.
  std::vector<std::int32_t> greedy() const {
    const auto ids = file_.get<std::int64_t>("greedy").values;
    return {ids.begin(), ids.end()};
  }
  bool has(const std::string& name) const { return file_.has(name); }
  std::vector<double> values(const std::string& name) const { return file_.get<double>(name).values; }

 private:
  safetensors_file file_;
  nlohmann::json sizes_;
};

/// The golden model `name`, opened from a file that is gone again.
template <rwkv7::variant V, class T>
rwkv7::language_model<V, T> open_golden(const std::string& name) {
  const temporary_file file(safetensors_bytes(golden_model(name).checkpoint()));
  return rwkv7::language_model<V, T>::open(file.path());
}

}  // namespace rwkv7_test
