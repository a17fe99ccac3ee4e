// SPDX-License-Identifier: MIT
/// From the tensors of a linearised Transformer to its sizes and parameters. Nothing is copied.
#pragma once

#include "rwkv7/model/hybrid_names.hpp"
#include "rwkv7/model/hybrid_weights.hpp"
#include "rwkv7/model/model_config.hpp"
#include "rwkv7/model/parameter_binder.hpp"

namespace rwkv7::detail {

/// Fills sizes and parameters from a file whose names to_hybrid_names has settled, or says what is wrong with it.
class hybrid_reader : parameter_binder {
 public:
  hybrid_reader(const variant& v, const tensor_file& file, const model_config& config, model_sizes& sizes,
                hybrid_weights& parameters)
      : parameter_binder(file), variant_(v), config_(config), sizes_(sizes), p_(parameters) {}

  /// On a complaint, sizes and parameters are undefined.
  diagnosis read() {
    check_config();
    if (problem_) return problem_;
    const auto count = block_count();
    if (!count) return problem_;
    p_.layers.resize(*count);
    read_placement();
    if (problem_) return problem_;
    bind_all(variant_, p_, sizes_);
    if (problem_) return problem_;
    read_sizes();
    if (problem_) return problem_;
    check_extents(variant_, p_, sizes_);
    check_norms();
    settle_eps();
    return problem_;
  }

 private:
  void check_config() {
    if (!(config_.norm_eps > 0)) complain("rms_norm_eps", "is not given: tensors do not tell it");
    if (variant_.rope && !(config_.rope_theta > 0)) complain("rope_theta", "is not given: tensors do not tell it");
    if (config_.time_mix_rope && *config_.time_mix_rope != variant_.rope)
      complain("nope_in_rwkv",
               variant_.rope ? "got true, but this variant turns" : "got false, but this variant does not turn");
    if (config_.scaled_rope && (variant_.rope || config_.attention_rope))
      complain("rope_scaling", "is there, or its like: rotation in parts or scaled is not supported");
    if (config_.qk_norm && *config_.qk_norm != variant_.qk_norm)
      complain("enable_qk_norm",
               variant_.qk_norm ? "got false, but this variant norms" : "got true, but this variant does not norm");
    constexpr index_t longest = index_t{1} << 30;
    if (config_.context < 1 || config_.context > longest)
      complain("context", "got " + std::to_string(config_.context) + ", want 1 to " + std::to_string(longest));
    if (config_.window < 0 || config_.window > config_.context)
      complain("window", "got " + std::to_string(config_.window) + ", want 0 to context, which is " +
                             std::to_string(config_.context));
  }

  /// A layer is attention where it has q_proj; a list that is given must say the same.
  void read_placement() {
    const auto& told = config_.attention_layers;
    const auto layers = static_cast<index_t>(p_.layers.size());
    for (std::size_t i = 0; i < told.size(); ++i)
      if (told[i] < 0 || told[i] >= layers || (i > 0 && told[i] <= told[i - 1]))
        return complain("transformer_layers", "got " + std::to_string(told[i]) + ", want rising numbers below the " +
                                                  std::to_string(layers) + " layers");
    for (index_t i = 0; i < layers; ++i) {
      auto& layer = p_.layers[static_cast<std::size_t>(i)];
      const auto name = "blocks." + std::to_string(i) + ".att.q_proj.weight";
      layer.is_attention = file_.find(name) != nullptr;
      const bool listed = std::find(told.begin(), told.end(), i) != told.end();
      if (!told.empty() && listed != layer.is_attention)
        complain(name, listed ? "is missing: transformer_layers names this layer"
                              : "is there: transformer_layers does not name this layer");
      if (!layer.is_attention && p_.first < 0 && (i == 0 || !config_.first_is_layer_0)) p_.first = i;
      sizes_.attention += layer.is_attention ? 1 : 0;
    }
    sizes_.context = config_.context;
    if (sizes_.attention > 0 && config_.attention_rope && !(config_.rope_theta > 0))
      complain("rope_theta", "is not given: tensors do not tell it");
    if (sizes_.attention == layers) complain("blocks.0.att.receptance.weight", "is missing: no layer is time-mix");
  }

  void read_sizes() {
    const auto& front = p_.layers.front();
    sizes_.V = p_.emb.extent(0);
    sizes_.C = p_.emb.extent(1);
    sizes_.layers = static_cast<index_t>(p_.layers.size());
    sizes_.F = front.ffn.gate.extent(0);
    index_t told = 0;
    for (const auto& layer : p_.layers)
      for (const index_t n : {layer.att.r_k.extent(1), layer.att.r_norm.extent(0), layer.attention.q_norm.extent(0)})
        if (told == 0) told = n;
    sizes_.N = told > 0 ? told : config_.head_size;
    if (sizes_.N == 0) return complain("head_dim", "is not given, and no tensor tells it");
    if (config_.head_size > 0 && config_.head_size != sizes_.N)
      return complain("head_dim",
                      "got " + std::to_string(config_.head_size) + ", but tensors say " + std::to_string(sizes_.N));
    if (sizes_.N > max_head_size)
      return complain("head size", "got " + std::to_string(sizes_.N) + ", want at most " +
                                       std::to_string(max_head_size) +
                                       " (define RWKV7_MAX_HEAD_SIZE to compile in more)");
    if ((variant_.rope || (sizes_.attention > 0 && config_.attention_rope)) && sizes_.N % 2 != 0)
      return complain("head size", "got " + std::to_string(sizes_.N) + ", want an even number, for rope");
    const std::string at = "blocks.0.att.";
    const auto& [r, k] = front.is_attention ? std::pair(front.attention.q_proj, front.attention.k_proj)
                                            : std::pair(front.att.receptance, front.att.key);
    const std::string r_name = at + (front.is_attention ? "q_proj.weight" : "receptance.weight");
    const std::string k_name = at + (front.is_attention ? "k_proj.weight" : "key.weight");
    sizes_.H = r.extent(0) / sizes_.N;
    sizes_.H_kv = k.extent(0) / sizes_.N;
    if (r.extent(0) % sizes_.N != 0)
      return complain(
          r_name, "axis D: got " + std::to_string(r.extent(0)) + ", want a multiple of " + std::to_string(sizes_.N));
    if (sizes_.H_kv < 1 || k.extent(0) % sizes_.N != 0 || sizes_.H % sizes_.H_kv != 0)
      complain(k_name, "axis D_kv: got " + std::to_string(k.extent(0)) + ", want " + std::to_string(sizes_.N) +
                           " times a divisor of " + std::to_string(sizes_.H));
    if (sizes_.attention * sizes_.context > (index_t{1} << 60) / std::max(index_t{1}, k.extent(0)))
      complain("context", "got " + std::to_string(sizes_.context) + ", which no memory holds for these layers");
  }

  void check_norms() {
    for (std::size_t i = 0; i < p_.layers.size(); ++i)
      if (const auto& a = p_.layers[i].attention; static_cast<bool>(a.q_norm) != static_cast<bool>(a.k_norm))
        complain("blocks." + std::to_string(i) + (a.q_norm ? ".att.ln_k.weight" : ".att.ln_r.weight"),
                 "is missing: the other norm is there");
    if (!p_.head && !config_.tied_head.value_or(true))  // one that is tied may be there as well
      complain("head.weight", "is missing, but tie_word_embeddings is false");
  }

  void settle_eps() {
    for (auto& layer : p_.layers) {
      layer.norm_eps = config_.norm_eps;
      layer.att.norm_eps = layer.attention.norm_eps =
          config_.head_norm_eps > 0 ? config_.head_norm_eps : config_.norm_eps;
      layer.att.ln_x_eps = config_.group_norm_eps;
    }
  }

  const variant& variant_;
  const model_config& config_;
  model_sizes& sizes_;
  hybrid_weights& p_;
};

}  // namespace rwkv7::detail
