// SPDX-License-Identifier: MIT
/// A Transformer of a few kilobytes, as HF stores it.
#pragma once

#include <algorithm>
#include <deque>

#include "rwkv7/core/dtype.hpp"
#include "support/pattern.hpp"
#include "support/safetensors_writer.hpp"
#include "support/temporary_folder.hpp"

namespace rwkv7_test {

/// What it has.
struct teacher_traits {
  std::int64_t layers = 4, V = 11, C = 16, F = 20, H = 4, H_kv = 2, N = 6;
  std::string biases = "";  // of "qkvo"
  bool qk_norm = false, fused = false, tied = false;
  std::string dtype = "BF16";
};

/// Tensors and config.json, to be spoilt by tests.
struct small_teacher {
  std::vector<file_tensor> tensors{};
  nlohmann::ordered_json config{};

  explicit small_teacher(const teacher_traits& t = {}) : dtype_(t.dtype) {
    config = {{"architectures", {"Qwen3ForCausalLM"}},
              {"model_type", "qwen3"},
              {"hidden_act", "silu"},
              {"vocab_size", t.V},
              {"hidden_size", t.C},
              {"intermediate_size", t.F},
              {"num_hidden_layers", t.layers},
              {"num_attention_heads", t.H},
              {"num_key_value_heads", t.H_kv},
              {"head_dim", t.N},
              {"rms_norm_eps", 1e-6},
              {"rope_theta", 1000000.0},
              {"rope_scaling", nullptr},
              {"tie_word_embeddings", t.tied},
              {"eos_token_id", {1, 2}}};
    const auto D = t.H * t.N, D_kv = t.H_kv * t.N;
    add("model.embed_tokens.weight", {t.V, t.C});
    for (std::int64_t i = 0; i < t.layers; ++i) {
      const auto at = "model.layers." + std::to_string(i) + ".";
      add(at + "input_layernorm.weight", {t.C});
      add(at + "post_attention_layernorm.weight", {t.C});
      const auto linear = [&](const char which, std::int64_t rows, std::int64_t columns) {
        const auto name = at + "self_attn." + which + "_proj.";
        add(name + "weight", {rows, columns});
        if (t.biases.find(which) != t.biases.npos) add(name + "bias", {rows});
      };
      linear('q', D, t.C), linear('k', D_kv, t.C), linear('v', D_kv, t.C), linear('o', t.C, D);
      if (t.qk_norm) add(at + "self_attn.q_norm.weight", {t.N}), add(at + "self_attn.k_norm.weight", {t.N});
      add(at + "mlp.gate_proj.weight", {t.F, t.C});
      add(at + "mlp.up_proj.weight", {t.F, t.C});
      add(at + "mlp.down_proj.weight", {t.C, t.F});
      if (!t.fused) continue;
      for (const std::string kind : {"weight", "bias"})
        fuse(at + "self_attn.qkv_proj." + kind,
             {at + "self_attn.q_proj." + kind, at + "self_attn.k_proj." + kind, at + "self_attn.v_proj." + kind});
      fuse(at + "mlp.gate_up_proj.weight", {at + "mlp.gate_proj.weight", at + "mlp.up_proj.weight"});
    }
    add("model.norm.weight", {t.C});
    if (!t.tied) add("lm_head.weight", {t.V, t.C});
  }

  void add(const std::string& name, const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (const auto extent : shape) count *= extent;
    const auto exact = f32_tensor(name, shape, pattern("teacher/" + name, count, 0, 1));
    tensors.push_back(dtype_ == "F32"   ? exact
                      : dtype_ == "F16" ? rounded<rwkv7::f16>(exact, true)
                                        : rounded<rwkv7::bf16>(exact, true));
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const auto& tensor) { return tensor.name == name; });
  }
  file_tensor& operator[](const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const auto& tensor) { return tensor.name == name; });
  }

  /// Into a folder, in one file or in two and an index.
  void write(const std::string& folder, bool parts = false) const {
    std::filesystem::create_directories(folder);
    const auto put = [&](const std::string& name, const std::string& content) {
      std::ofstream(std::filesystem::path(folder) / name, std::ios::binary) << content;
    };
    put("config.json", config.dump(1));
    if (!parts) return put("model.safetensors", safetensors_bytes(tensors));
    nlohmann::json index = {{"weight_map", nlohmann::json::object()}};
    const auto middle = tensors.begin() + static_cast<std::ptrdiff_t>(tensors.size() / 2);
    for (auto tensor = tensors.begin(); tensor != tensors.end(); ++tensor)
      index["weight_map"][tensor->name] = tensor < middle ? "a.safetensors" : "b.safetensors";
    put("a.safetensors", safetensors_bytes({tensors.begin(), middle}));
    put("b.safetensors", safetensors_bytes({middle, tensors.end()}));
    put("model.safetensors.index.json", index.dump());
  }

 private:
  /// One tensor of several that lie above each other, where they are there.
  void fuse(const std::string& name, const std::vector<std::string>& parts) {
    file_tensor all{.name = name, .dtype = dtype_, .shape = {}, .bytes = {}};
    for (const auto& part : parts)
      for (const auto& tensor : tensors) {
        if (tensor.name != part) continue;
        auto shape = tensor.shape;
        if (!all.shape.empty()) shape[0] += all.shape[0];
        all.shape = shape;
        all.bytes += tensor.bytes;
      }
    for (const auto& part : parts) remove(part);
    if (!all.shape.empty()) tensors.push_back(all);
  }

  std::string dtype_;
};

}  // namespace rwkv7_test
