// SPDX-License-Identifier: MIT
/// The golden models of linearised Transformers.
#pragma once

#include <algorithm>
#include <map>
#include <utility>

#include "rwkv7/block/time_mix.hpp"
#include "support/golden.hpp"
#include "support/safetensors_writer.hpp"

namespace rwkv7_test {

using rwkv7::dims;
using rwkv7::index_t;
using rwkv7::low_rank_weights;
using rwkv7::sequences;
using rwkv7::time_mix_weights;
using rwkv7::weights;

/// tests/golden/family_<name>.safetensors: sizes, sequences, parameters, what NumPy got.
class family_case {
 public:
  explicit family_case(const std::string& name)
      : file_(golden_file("family_" + name)), model_(file_.metadata("model")) {
    for (const char* list : {"weights", "initial"})
      for (const auto& described : file_.metadata(list))
        params_[described["name"]] = {described["shape"].get<std::vector<index_t>>(),
                                      golden_input(described, name + "/")};
    for (const index_t slot : model_.value("slots", std::vector<index_t>{}))
      slots_.push_back(static_cast<std::int32_t>(slot));
    cu_seqlens_.push_back(0);
    for (const index_t length : model_.value("lengths", std::vector<index_t>{}))
      cu_seqlens_.push_back(cu_seqlens_.back() + static_cast<std::int32_t>(length));
  }

  index_t size(const char* name) const { return model_.at(name); }
  double real(const char* name) const { return model_.at(name); }
  dims time_mix_dims() const { return {.C = size("C"), .H = size("H"), .N = size("N"), .H_kv = size("H_kv")}; }
  sequences tokens() const {
    if (slots_.empty()) return rwkv7::dense{size("B"), size("T")};
    return rwkv7::packed{cu_seqlens_, slots_};
  }
  std::vector<std::int64_t> positions() const { return model_.at("positions"); }
  std::vector<std::int64_t> final_positions() const { return file_.get<std::int64_t>("positions").values; }
  index_t slots() const { return static_cast<index_t>(positions().size()); }
  std::vector<index_t> placement() const { return model_.at("placement"); }
  bool is_attention(index_t layer) const {
    const auto layers = placement();
    return std::find(layers.begin(), layers.end(), layer) != layers.end();
  }
  bool flag(const char* name) const { return model_.at(name); }
  bool has(const std::string& name) const { return file_.has(name); }
  /// What NumPy got.
  template <class T>
  std::vector<T> values(const std::string& name) const {
    const auto all = file_.get<double>(name).values;
    return {all.begin(), all.end()};
  }
  /// What a layer carries into the call; zeros where the file says nothing.
  template <class T>
  std::vector<T> initial(const std::string& name, index_t size) const {
    const auto at = params_.find(name);
    if (at == params_.end()) return std::vector<T>(static_cast<std::size_t>(size));
    return {at->second.second.begin(), at->second.second.end()};
  }
  weights<1> vector(const std::string& name) const {
    const auto at = params_.find(name);
    if (at == params_.end()) return {};
    return {at->second.second.data(), rwkv7::dtype::f32, {static_cast<index_t>(at->second.second.size())}};
  }
  weights<2> matrix(const std::string& name) const {
    const auto at = params_.find(name);
    if (at == params_.end()) return {};
    return {at->second.second.data(), rwkv7::dtype::f32, {at->second.first[0], at->second.first[1]}};
  }
  time_mix_weights time_mix(index_t layer) const {
    const std::string at = "blocks." + std::to_string(layer) + ".att.";
    const auto low_rank = [&](const char* letter) {
      return low_rank_weights{matrix(at + letter + "1"), matrix(at + letter + "2"), vector(at + letter + "0")};
    };
    time_mix_weights p;
    p.x_r = vector(at + "x_r"), p.x_w = vector(at + "x_w"), p.x_k = vector(at + "x_k");
    p.x_v = vector(at + "x_v"), p.x_a = vector(at + "x_a"), p.x_g = vector(at + "x_g");
    p.receptance = matrix(at + "receptance.weight"), p.receptance_bias = vector(at + "receptance.bias");
    p.key = matrix(at + "key.weight"), p.key_bias = vector(at + "key.bias");
    p.value = matrix(at + "value.weight"), p.value_bias = vector(at + "value.bias");
    p.output = matrix(at + "output.weight"), p.output_bias = vector(at + "output.bias");
    p.r_norm = vector(at + "ln_r.weight"), p.k_norm = vector(at + "ln_k.weight"), p.norm_eps = real("qk_norm_eps");
    p.w = low_rank("w"), p.a = low_rank("a"), p.v = low_rank("v"), p.k = low_rank("k"), p.g = low_rank("g");
    p.k_k = vector(at + "k_k"), p.k_a = vector(at + "k_a"), p.r_k = matrix(at + "r_k");
    p.ln_x_weight = vector(at + "ln_x.weight"), p.ln_x_bias = vector(at + "ln_x.bias");
    p.ln_x_eps = real("group_norm_eps");
    return p;
  }

  /// The checkpoint, with the names of published .pth files.
  std::vector<file_tensor> checkpoint() const {
    std::vector<file_tensor> tensors;
    for (const auto& described : file_.metadata("weights")) {
      const auto& [shape, values] = params_.at(described["name"]);
      tensors.push_back(f32_tensor(described["name"], shape, values));
    }
    return tensors;
  }
  std::vector<std::int32_t> token_ids() const {
    const auto ids = file_.get<std::int64_t>("tokens").values;
    return {ids.begin(), ids.end()};
  }

 private:
  safetensors_file file_;
  nlohmann::json model_;
  std::map<std::string, std::pair<std::vector<index_t>, std::vector<float>>> params_;
  std::vector<std::int32_t> slots_, cu_seqlens_;
};

}  // namespace rwkv7_test
