// SPDX-License-Identifier: MIT
/// What a linearised Transformer is made of, and the names of its tensors where it is run (RWKV-Infer's .pth).
#pragma once

#include <string>
#include <vector>

#include "rwkv7/block/hybrid_layer.hpp"
#include "rwkv7/model/model_weights.hpp"

namespace rwkv7 {

/// The parameters of a whole linearised Transformer.
struct hybrid_weights {
  weights<2> emb{};                            // [V, C]
  std::vector<hybrid_layer_weights> layers{};  // blocks
  weights<1> ln_out{};                         // [C]
  weights<2> head{};                           // [V, C]; absent where the embedding is the head
  index_t first = -1;                          // the layer towards whose values and keys residuals lean; -1: to zeros
};

/// All parameters of a linearised Transformer. Layers must say whether they are attention, and `first` which layer that
/// is, before parameters are there.
inline std::vector<parameter> parameters_of(const variant& v, hybrid_weights& p, const model_sizes& s) {
  const index_t D = s.H * s.N, D_kv = s.H_kv * s.N;
  detail::parameter_list each;
  each.matrix("emb.weight", p.emb, {"V", s.V}, {"C", s.C});
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    auto& layer = p.layers[i];
    const std::string block = "blocks." + std::to_string(i) + ".", at = block + "att.";
    each.vector(block + "ln1.weight", layer.ln1, {"C", s.C});
    each.vector(block + "ln2.weight", layer.ln2, {"C", s.C});
    if (layer.is_attention) {
      auto& attention = layer.attention;
      const auto linear = [&](const std::string& name, weights<2>& w, weights<1>& bias, axis rows, axis columns) {
        each.matrix(at + name + ".weight", w, rows, columns);
        each.vector(at + name + ".bias", bias, rows, presence::optional);
      };
      linear("q_proj", attention.q_proj, attention.q_bias, {"D", D}, {"C", s.C});
      linear("k_proj", attention.k_proj, attention.k_bias, {"D_kv", D_kv}, {"C", s.C});
      linear("v_proj", attention.v_proj, attention.v_bias, {"D_kv", D_kv}, {"C", s.C});
      linear("o_proj", attention.o_proj, attention.o_bias, {"C", s.C}, {"D", D});
      each.vector(at + "ln_r.weight", attention.q_norm, {"N", s.N}, presence::optional);
      each.vector(at + "ln_k.weight", attention.k_norm, {"N", s.N}, presence::optional);
    } else {
      detail::list_time_mix(v, layer.att, s, static_cast<index_t>(i) == p.first, at, each);
    }
    each.matrix(block + "ffn.gate.weight", layer.ffn.gate, {"F", s.F}, {"C", s.C});
    each.matrix(block + "ffn.up.weight", layer.ffn.up, {"F", s.F}, {"C", s.C});
    each.matrix(block + "ffn.down.weight", layer.ffn.down, {"C", s.C}, {"F", s.F});
  }
  each.vector("ln_out.weight", p.ln_out, {"C", s.C});
  each.matrix("head.weight", p.head, {"V", s.V}, {"C", s.C}, presence::optional);
  return std::move(each.all);
}

}  // namespace rwkv7
