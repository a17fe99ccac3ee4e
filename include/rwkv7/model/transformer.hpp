// SPDX-License-Identifier: MIT
/// Opens a Transformer's checkpoint with HF's names (Llama, Mistral, Qwen2, Qwen3, Phi-3, Seed-OSS): what is in it, and
/// that it is all there. Nothing is copied.
///
///   model.embed_tokens.weight [V, C]   model.norm.weight [C]   lm_head.weight [V, C], where it is not tied
///   model.layers.<i>.
///     input_layernorm.weight, post_attention_layernorm.weight [C]
///     self_attn.q_proj [D, C], k_proj [D_kv, C], v_proj [D_kv, C], o_proj [C, D]   .weight, and .bias if it is there
///         or qkv_proj [D + 2 D_kv, C] for the first three, above each other
///     self_attn.q_norm.weight, k_norm.weight [N], where queries and keys are normed
///     mlp.gate_proj.weight [F, C], up_proj.weight [F, C], down_proj.weight [C, F]
///         or gate_up_proj.weight [2 F, C]
#pragma once

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/json_file.hpp"
#include "rwkv7/variant/dims.hpp"

namespace rwkv7 {

/// A projection.
struct transformer_linear {
  stored_tensor weight{};               // [out, in]
  std::optional<stored_tensor> bias{};  // [out]
};

/// The parameters of one layer, each under the name it has in the file. Parts of a fused matrix have its name.
struct transformer_layer {
  stored_tensor attention_norm{};         // input_layernorm
  transformer_linear q{}, k{}, v{}, o{};  // projections of attention
  std::optional<stored_tensor> q_norm{};  // with k_norm or not at all
  std::optional<stored_tensor> k_norm{};  // likewise
  stored_tensor mlp_norm{};               // post_attention_layernorm
  stored_tensor gate{}, up{}, down{};     // matrices of the MLP
};

/// A Transformer in an open file. Move-only.
struct transformer {
  tensor_file file{};                         // where all tensors are
  nlohmann::ordered_json config{};            // config.json, all of it
  dims attention{};                           // the sizes of its attention
  index_t V = 0;                              // vocabulary
  index_t F = 0;                              // width of the MLP
  bool tied = false;                          // whether the embedding is the head, too
  stored_tensor embedding{}, norm{}, head{};  // no head where it is tied
  std::vector<transformer_layer> layers{};    // from the input on
  std::vector<stored_tensor> needless{};      // what is computed, or not used

  /// False when nothing is open.
  explicit operator bool() const noexcept { return !layers.empty(); }
  /// Whether queries and keys are normed.
  bool qk_norm() const noexcept { return !layers.empty() && layers[0].q_norm; }
};

namespace detail {

/// `count` rows of a matrix.
inline stored_tensor rows_of(const stored_tensor& matrix, index_t first, index_t count) {
  const auto row = static_cast<std::size_t>(matrix.strides[0] * traits_of(matrix.type).bytes);
  auto result = matrix;
  result.shape[0] = count;
  result.bytes = matrix.bytes.subspan(static_cast<std::size_t>(first) * row);
  if (result.dense()) result.bytes = result.bytes.first(static_cast<std::size_t>(count) * row);
  return result;
}

class transformer_reader {
 public:
  explicit transformer_reader(transformer& result) : result_(result) {}

  diagnosis read() {
    for (const auto& t : result_.file.tensors)
      if (t.name.find(".experts.") != t.name.npos)
        complain(t.name, "belongs to a mixture of experts, which is not supported");
    read_sizes();
    const auto V = result_.V, C = result_.attention.C;
    result_.embedding = tensor("model.embed_tokens.weight", {V, C});
    for (index_t i = 0; i < layers_ && !problem_; ++i)
      result_.layers.push_back(layer("model.layers." + std::to_string(i) + "."));
    result_.norm = tensor("model.norm.weight", {C});
    if (!result_.tied) result_.head = tensor("lm_head.weight", {V, C});
    check_rest();
    return problem_;
  }

 private:
  void read_sizes() {
    check_type();
    result_.V = whole("vocab_size");
    result_.F = whole("intermediate_size");
    layers_ = whole("num_hidden_layers");
    auto& d = result_.attention;
    d.C = whole("hidden_size");
    d.H = whole("num_attention_heads");
    d.H_kv = has("num_key_value_heads") ? whole("num_key_value_heads") : d.H;
    if (problem_) return;
    if (!has("head_dim") && d.C % d.H != 0)
      complain("config.json: num_attention_heads", "got " + std::to_string(d.H) + ", want a divisor of hidden_size = " +
                                                       std::to_string(d.C) + " where there is no head_dim");
    if (problem_) return;
    d.N = has("head_dim") ? whole("head_dim") : d.C / d.H;
    if (d.N < 2) complain("config.json: head_dim", "got 1, want 2 or more");
    if (d.H % d.H_kv != 0)
      complain("config.json: num_key_value_heads",
               "got " + std::to_string(d.H_kv) + ", want a divisor of num_attention_heads = " + std::to_string(d.H));
    // Models have twice as much at most. Ranks grow with D: a small file shall not ask for much memory.
    constexpr index_t widest = 16;
    if (d.D() > widest * d.C)
      complain("config.json: head_dim", "got " + std::to_string(d.D()) + " for all heads, want at most " +
                                            std::to_string(widest) + " times hidden_size = " + std::to_string(d.C));
    const auto tied = result_.config.find("tie_word_embeddings");
    if (tied != result_.config.end() && !tied->is_boolean())
      return complain("config.json: tie_word_embeddings", "got " + shown(*tied) + ", want true or false");
    result_.tied = tied != result_.config.end() && tied->get<bool>();
  }

  /// Others may have the same tensors and compute something else with them.
  void check_type() {
    if (!has("model_type")) return complain("config.json: model_type", "is missing");
    const auto& type = result_.config["model_type"];
    for (const char* known : {"llama", "mistral", "phi3", "qwen2", "qwen3", "seed_oss"})
      if (type == known) {
        if (has("hidden_act") && result_.config["hidden_act"] != "silu")
          complain("config.json: hidden_act", "got " + shown(result_.config["hidden_act"]) + ", want \"silu\"");
        return;
      }
    complain("config.json: model_type", "got " + shown(type) + ", want llama, mistral, phi3, qwen2, qwen3 or seed_oss");
  }

  transformer_layer layer(const std::string& at) {
    const auto& d = result_.attention;
    const auto C = d.C, F = result_.F;
    transformer_layer t;
    t.attention_norm = tensor(at + "input_layernorm.weight", {C});
    t.mlp_norm = tensor(at + "post_attention_layernorm.weight", {C});
    if (same_in_all("self_attn.qkv_proj.weight")) {
      const auto all = linear(at, "self_attn.qkv_proj", d.D() + 2 * d.D_kv(), C);
      if (problem_) return t;
      const auto part = [&](index_t first, index_t count) {
        transformer_linear result{.weight = rows_of(all.weight, first, count)};
        if (all.bias) result.bias = rows_of(*all.bias, first, count);
        return result;
      };
      t.q = part(0, d.D());
      t.k = part(d.D(), d.D_kv());
      t.v = part(d.D() + d.D_kv(), d.D_kv());
    } else {
      t.q = linear(at, "self_attn.q_proj", d.D(), C);
      t.k = linear(at, "self_attn.k_proj", d.D_kv(), C);
      t.v = linear(at, "self_attn.v_proj", d.D_kv(), C);
    }
    t.o = linear(at, "self_attn.o_proj", C, d.D());
    if (same_in_all("self_attn.q_norm.weight") || same_in_all("self_attn.k_norm.weight")) {
      t.q_norm = tensor(at + "self_attn.q_norm.weight", {d.N});
      t.k_norm = tensor(at + "self_attn.k_norm.weight", {d.N});
    }
    if (same_in_all("mlp.gate_up_proj.weight")) {
      const auto both = tensor(at + "mlp.gate_up_proj.weight", {2 * F, C});
      if (problem_) return t;
      t.gate = rows_of(both, 0, F);
      t.up = rows_of(both, F, F);
    } else {
      t.gate = tensor(at + "mlp.gate_proj.weight", {F, C});
      t.up = tensor(at + "mlp.up_proj.weight", {F, C});
    }
    t.down = tensor(at + "mlp.down_proj.weight", {C, F});
    return t;
  }

  /// Layers are alike: what the first one has, each of them has.
  bool same_in_all(const std::string& name) const { return result_.file.find("model.layers.0." + name) != nullptr; }

  transformer_linear linear(const std::string& at, const std::string& name, index_t rows, index_t columns) {
    transformer_linear result{.weight = tensor(at + name + ".weight", {rows, columns})};
    if (same_in_all(name + ".bias")) result.bias = tensor(at + name + ".bias", {rows});
    return result;
  }

  stored_tensor tensor(const std::string& name, const std::vector<index_t>& shape) {
    const auto* found = problem_ ? nullptr : result_.file.find(name);
    if (!found) return complain(name, "is missing"), stored_tensor();
    if (traits_of(found->type).elements > 1 || !unpacked_type(found->type))
      complain(name, "dtype: got " + std::string(traits_of(found->type).name) + ", want F32, F16 or BF16");
    if (found->shape != shape) complain(name, "shape: got " + text_of(found->shape) + ", want " + text_of(shape));
    known_.insert(name);
    return *found;
  }

  /// Tables of rope are computed, and a tied head is the embedding; nothing else may be left over.
  void check_rest() {
    if (problem_) return;
    for (const auto& t : result_.file.tensors) {
      if (known_.contains(t.name)) continue;
      const bool computed = t.name.find("rotary_emb.") != t.name.npos;
      if (!computed && t.name != "lm_head.weight") return complain(t.name, "is not a tensor of this model");
      result_.needless.push_back(t);
    }
  }

  bool has(const char* key) const {
    const auto at = result_.config.find(key);
    return at != result_.config.end() && !at->is_null();
  }
  /// A count in config.json.
  index_t whole(const char* key) {
    constexpr std::uint64_t most = std::numeric_limits<std::int32_t>::max();
    const std::string subject = std::string("config.json: ") + key;
    if (!has(key)) return complain(subject, "is missing"), 1;
    const auto& value = result_.config[key];
    const auto count = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
    if (count >= 1 && count <= most) return static_cast<index_t>(count);
    complain(subject, "got " + shown(value) + ", want a whole number from 1 to " + std::to_string(most));
    return 1;
  }

  static std::string shown(const nlohmann::ordered_json& value) {
    return detail::shown(value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace), 40);
  }
  static std::string text_of(const std::vector<index_t>& shape) {
    std::string text;
    for (const index_t extent : shape) text += (text.empty() ? "[" : ",") + std::to_string(extent);
    return detail::shown(text.empty() ? "[]" : text + "]", 60);
  }
  void complain(const std::string& subject, const std::string& what) {
    problem_.complain("rwkv7::transformer: %s: %s: %s", result_.file.name.c_str(), detail::shown(subject, 60).c_str(),
                      what.c_str());
  }

  transformer& result_;
  index_t layers_ = 0;
  std::set<std::string, std::less<>> known_;
  diagnosis problem_;
};

}  // namespace detail

/// The Transformer of these tensors and what config.json says. rwkv7::error names what is missing, of another shape or
/// type than config.json wants, or unknown; where exceptions are off the result is then empty.
inline transformer read_transformer(tensor_file file, nlohmann::ordered_json config) {
  transformer result;
  result.file = std::move(file);
  result.config = std::move(config);
  const auto problem = detail::transformer_reader(result).read();
  if (!problem) return result;
  report(problem);
  return {};
}

/// Opens a checkpoint, a file or a folder as open_checkpoint takes it, and the config.json beside or in it. Errors as
/// these of read_transformer.
inline transformer open_transformer(const std::filesystem::path& path) {
  auto file = open_checkpoint(path);
  if (!file) return {};
  std::error_code ignored;
  const auto folder = std::filesystem::is_directory(path, ignored) ? path : path.parent_path();
  diagnosis problem;
  const auto name = detail::shown(folder / "config.json");
  auto config = detail::read_json<nlohmann::ordered_json>(folder / "config.json", problem, [&](const char* what) {
    problem.complain("rwkv7::transformer: %s: %s", name.c_str(), what);
  });
  if (!problem) return read_transformer(std::move(file), std::move(config));
  report(problem);
  return {};
}

}  // namespace rwkv7
