// SPDX-License-Identifier: MIT
/// Linearised Transformers are stored under two schemes of names: those of RWKV-Infer's .pth, used here, and those of
/// Hugging Face, in which their trainers save them.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "rwkv7/model/tensor.hpp"

namespace rwkv7 {

namespace detail {

/// Outside the layers.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 3> hybrid_model_names{{
    {"model.embed_tokens.weight", "emb.weight"},
    {"model.norm.weight", "ln_out.weight"},
    {"lm_head.weight", "head.weight"},
}};

/// How names of layers begin, after "model.layers.3.". The trainer wraps attention while it is trained.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 10> hybrid_layer_names{{
    {"input_layernorm.", "ln1."},
    {"post_attention_layernorm.", "ln2."},
    {"self_attn.student_attn.", "att."},
    {"self_attn.", "att."},
    {"mlp.gate_proj.", "ffn.gate."},
    {"mlp.up_proj.", "ffn.up."},
    {"mlp.down_proj.", "ffn.down."},
    {"mlp.gate_up_proj.", "ffn.gate_up."},
    {"mlp.gate_up.", "ffn.gate_up."},
    {"mlp.", "ffn."},
}};

/// The norm of queries and keys has three names.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 3> head_norm_names{{
    {".att.r_norm.weight", ".att.ln_r.weight"},
    {".att.q_norm.weight", ".att.ln_r.weight"},
    {".att.k_norm.weight", ".att.ln_k.weight"},
}};

/// One name, in RWKV-Infer's scheme.
inline std::string hybrid_name(std::string_view name) {
  if (name.starts_with("model.model.")) name.remove_prefix(6);  // the trainer's
  for (const auto& [from, to] : hybrid_model_names)
    if (name == from) return std::string(to);
  std::string result(name);
  if (constexpr std::string_view layers = "model.layers."; name.starts_with(layers)) {
    const auto dot = name.find('.', layers.size());
    if (dot == name.npos) return result;
    const auto rest = name.substr(dot + 1);
    for (const auto& [from, to] : hybrid_layer_names)
      if (rest.starts_with(from)) {
        result = "blocks." + std::string(name.substr(layers.size(), dot + 1 - layers.size())) + std::string(to) +
                 std::string(rest.substr(from.size()));
        break;
      }
  }
  for (const auto& [from, to] : head_norm_names)
    if (result.ends_with(from)) return result.substr(0, result.size() - from.size()) + std::string(to);
  return result;
}

/// A fused gate_up [2 F, C] as two tensors in the same bytes, the gate first; one that cannot be halved stays, to be
/// named as unknown.
inline bool halve_gate_up(const stored_tensor& tensor, std::vector<stored_tensor>& to) {
  constexpr std::string_view fused = ".ffn.gate_up.weight";
  if (!tensor.name.ends_with(fused) || traits_of(tensor.type).elements != 1 || tensor.shape.size() != 2 ||
      tensor.shape[0] % 2 != 0 || !tensor.dense())
    return false;
  const std::string block = tensor.name.substr(0, tensor.name.size() - fused.size());
  const auto half = tensor.bytes.size() / 2;
  for (const bool up : {false, true}) {
    stored_tensor part = tensor;
    part.name = block + (up ? ".ffn.up.weight" : ".ffn.gate.weight");
    part.shape[0] /= 2;
    part.bytes = tensor.bytes.subspan(up ? half : 0, half);
    to.push_back(std::move(part));
  }
  return true;
}

/// What a trainer leaves beside the parameters of a layer.
inline bool is_hybrid_remark(std::string_view name) noexcept {
  for (const std::string_view each : {".att.layer_architecture", ".att.head_size_record", ".rotary_emb.inv_freq"})
    if (name.ends_with(each)) return true;
  return false;
}

}  // namespace detail

/// Whether the tensors are those of a linearised Transformer, under either scheme: they have its MLP.
inline bool is_hybrid(const tensor_file& file) {
  return std::any_of(file.tensors.begin(), file.tensors.end(), [](const stored_tensor& tensor) {
    const auto name = detail::hybrid_name(tensor.name);
    return name.ends_with(".ffn.gate.weight") || name.ends_with(".ffn.gate_up.weight");
  });
}

/// Gives the tensors of a linearised Transformer RWKV-Infer's names, halves gate_up, and drops what is no parameter; no
/// byte is copied. One that no scheme knows keeps its name. Complains where two tensors get one name.
inline diagnosis to_hybrid_names(tensor_file& file) {
  std::vector<stored_tensor> result;
  for (auto& tensor : file.tensors) {
    tensor.name = detail::hybrid_name(tensor.name);
    if (!detail::is_hybrid_remark(tensor.name) && !detail::halve_gate_up(tensor, result))
      result.push_back(std::move(tensor));
  }
  file.tensors = std::move(result);
  diagnosis problem;
  detail::finish_tensors(file, problem);
  return problem;
}

}  // namespace rwkv7
