// SPDX-License-Identifier: MIT
/// Checkpoints in memory, small enough to be damaged bit by bit.
#pragma once

#include <deque>

#include "rwkv7/model/model_weights.hpp"
#include "rwkv7/model/tensor.hpp"
#include "rwkv7/variant/catalogue.hpp"

namespace rwkv7_test {

/// Tensors and their bytes; every byte differs from its neighbours.
class tiny_tensors {
 public:
  void add(const std::string& name, rwkv7::storage type, const std::vector<rwkv7::index_t>& shape) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(rwkv7::dense_bytes(type, shape).value()));
    for (auto& byte : bytes) byte = static_cast<std::byte>(++count_ * 7 % 61 + 1);  // small numbers in any float
    file_.tensors.push_back({name, type, shape, rwkv7::dense_strides(shape), bytes_.emplace_back(std::move(bytes))});
  }
  /// As an open file is: sorted by name.
  const rwkv7::tensor_file& file() {
    std::sort(file_.tensors.begin(), file_.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return file_;
  }

 private:
  rwkv7::tensor_file file_{.name = "tiny", .format = "memory"};
  std::deque<std::vector<std::byte>> bytes_;
  unsigned count_ = 0;
};

/// Two tensors, one of them a vector.
inline tiny_tensors tiny_pair() {
  tiny_tensors result;
  result.add("a", rwkv7::storage::f32, {2, 3});
  result.add("b", rwkv7::storage::bf16, {5});
  return result;
}

/// An x070 model of these sizes, with maps of rank 2 and matrices of this type.
inline tiny_tensors tiny_model(const rwkv7::model_sizes& sizes, rwkv7::storage matrices = rwkv7::storage::f32) {
  rwkv7::model_weights parameters;
  parameters.layers.resize(static_cast<std::size_t>(sizes.layers));
  tiny_tensors result;
  const auto visit = [&](const std::string& name, const auto&, const auto& axes, rwkv7::presence p) {
    std::vector<rwkv7::index_t> shape;
    for (const auto& [letter, extent] : axes) shape.push_back(std::string_view(letter) == "rank" ? 2 : extent);
    const bool deep = shape.size() == 1 && name.find(".att.") != name.npos && name.find("ln_x") == name.npos;
    if (deep || name.ends_with("ffn.x_k")) shape.insert(shape.begin(), 2, 1);
    if (p != rwkv7::presence::unused) result.add(name, shape.size() == 2 ? matrices : rwkv7::storage::f32, shape);
  };
  rwkv7::for_each_parameter(rwkv7::x070, parameters, sizes, visit);
  return result;
}
inline tiny_tensors tiny_model() {
  return tiny_model({.V = 2, .C = 4, .layers = 2, .H = 2, .N = 2, .H_kv = 2, .F = 3});
}

}  // namespace rwkv7_test
