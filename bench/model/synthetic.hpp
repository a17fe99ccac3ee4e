// SPDX-License-Identifier: MIT
/// A checkpoint of any size that nobody trained: uniform weights under which activations are of unit scale in every
/// layer. What a block adds to the residual stream is a quarter of that, so that errors do not grow from layer to
/// layer: with as much again they do, twentyfold in 12 layers, and whose are larger is then chance.
#pragma once

#include <cmath>
#include <deque>

#include "rwkv7/model/tensor.hpp"
#include "support/harness.hpp"
#include "support/options.hpp"

namespace rwkv7_bench {

/// Tensors with the names of RWKV-LM, in f32; heads of 64, F = 4 C.
class synthetic_model {
 public:
  explicit synthetic_model(const model_shape& s) : C_(s.C) {
    matrix("emb.weight", s.V, C_, 3);
    for (index_t i = 0; i < s.layers; ++i) block("blocks." + std::to_string(i) + ".", i == 0);
    norm("ln_out"), matrix("head.weight", s.V, C_, C_);
    std::sort(file_.tensors.begin(), file_.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  }
  /// Refers to memory of this object.
  const rwkv7::tensor_file& file() const { return file_; }

 private:
  void block(const std::string& name, bool first) {
    const std::string att = name + "att.";
    if (first) norm(name + "ln0");
    norm(name + "ln1"), norm(name + "ln2"), norm(att + "ln_x");
    for (const char* each : {"x_r", "x_w", "x_k", "x_v", "x_a", "x_g"}) vector(att + each, 0.5f, 0.5f);
    low_rank(att + "w", 64), vector(att + "w0", 4, -3);
    low_rank(att + "a", 64), vector(att + "a0", 0.5f, 0);
    if (!first) low_rank(att + "v", 32), vector(att + "v0", 0.5f, 0);
    low_rank(att + "g", 128);
    vector(att + "k_k", 0.3f, 0.8f), vector(att + "k_a", 0.3f, 1);
    add(att + "r_k", {C_ / 64, 64}, 0.3f, 0);
    for (const char* each : {"receptance", "key", "value"}) matrix(att + each + ".weight", C_, C_, C_);
    matrix(att + "output.weight", C_, C_, 16 * C_);
    vector(name + "ffn.x_k", 0.5f, 0.5f);
    matrix(name + "ffn.key.weight", 4 * C_, C_, C_), matrix(name + "ffn.value.weight", C_, 4 * C_, 64 * C_);
  }
  void norm(const std::string& name) { vector(name + ".weight", 0.1f, 1), vector(name + ".bias", 0.1f, 0); }
  void low_rank(const std::string& name, index_t rank) {
    matrix(name + "1", C_, rank, C_), matrix(name + "2", rank, C_, rank);
  }
  void vector(const std::string& name, float scale, float offset) { add(name, {C_}, scale, offset); }
  /// Products with unit-scale inputs, of which there are `inputs`, have unit scale.
  void matrix(const std::string& name, index_t rows, index_t columns, index_t inputs) {
    add(name, {rows, columns}, std::sqrt(3.0f / static_cast<float>(inputs)), 0);
  }
  void add(const std::string& name, const std::vector<index_t>& shape, float scale, float offset) {
    index_t n = 1;
    for (const index_t extent : shape) n *= extent;
    const auto& values = values_.emplace_back(noise(n, scale, offset));
    file_.tensors.push_back(
        {name, rwkv7::storage::f32, shape, rwkv7::dense_strides(shape), std::as_bytes(std::span(values))});
  }

  index_t C_;
  std::deque<buffer<float>> values_;
  rwkv7::tensor_file file_{.name = "synthetic"};
};

}  // namespace rwkv7_bench
