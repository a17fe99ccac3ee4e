// SPDX-License-Identifier: MIT
/// What a whole language model is made of: its sizes, its parameters, and their names in RWKV-LM.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "rwkv7/block/layer.hpp"

namespace rwkv7 {

/// All read from the tensors of the checkpoint. Ranks of the low-rank maps are those of their matrices.
struct model_sizes {
  index_t V = 0;       // vocabulary
  index_t C = 0;       // channels of the residual stream
  index_t layers = 0;  // blocks
  index_t H = 0;       // heads
  index_t N = 0;       // head size
  index_t H_kv = 0;    // heads of the projected keys and values, a divisor of H
  index_t F = 0;       // width of channel-mix

  /// The sizes of its time-mix blocks.
  constexpr dims time_mix_dims() const noexcept { return {.C = C, .H = H, .N = N, .H_kv = H_kv}; }
};

/// The parameters of a whole model.
struct model_weights {
  weights<2> emb{};                           // [V, C]
  weights<1> ln0_weight{}, ln0_bias{};        // [C], on the embedding; stored in block 0
  std::vector<layer_weights> layers{};        // blocks
  weights<1> ln_out_weight{}, ln_out_bias{};  // [C]
  weights<2> head{};                          // [V, C]
};

/// Visits every parameter: f(name, tensor, axes, used).
///
///   name    in RWKV-LM: "blocks.3.att.w1"
///   tensor  the member of `p` that holds it, weights<1> or weights<2>
///   axes    std::array of the axes it must have, given the sizes
///   used    false for what a checkpoint may hold although nothing reads it: the value mix of the first layer, and the
///           parameters of what the variant has switched off
template <variant V, class Weights, class F>
void for_each_parameter(Weights& p, const model_sizes& s, F&& f) {
  const index_t D = s.H * s.N, D_kv = s.H_kv * s.N;
  const auto vector = [&](const std::string& name, auto& w, axis n, bool used = true) {
    f(name, w, std::array{n}, used);
  };
  const auto matrix = [&](const std::string& name, auto& w, axis rows, axis columns, bool used = true) {
    f(name, w, std::array{rows, columns}, used);
  };
  const auto norm = [&](const std::string& name, auto& weight, auto& bias, axis n, bool used = true) {
    vector(name + ".weight", weight, n, used);
    vector(name + ".bias", bias, n, used);
  };

  matrix("emb.weight", p.emb, {"V", s.V}, {"C", s.C});
  norm("blocks.0.ln0", p.ln0_weight, p.ln0_bias, {"C", s.C});
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    auto& layer = p.layers[i];
    auto& att = layer.att;
    const std::string block = "blocks." + std::to_string(i) + ".", at = block + "att.";
    const auto low_rank = [&](const std::string& letter, auto& w, axis width, bool used = true) {
      matrix(at + letter + "1", w.in, {"C", s.C}, {"rank", w.in.extent(1)}, used);
      matrix(at + letter + "2", w.out, {"rank", w.in.extent(1)}, width, used);
    };
    norm(block + "ln1", layer.ln1_weight, layer.ln1_bias, {"C", s.C});
    norm(block + "ln2", layer.ln2_weight, layer.ln2_bias, {"C", s.C});

    vector(at + "x_r", att.x_r, {"C", s.C}, V.token_shift);
    vector(at + "x_w", att.x_w, {"C", s.C}, V.token_shift);
    vector(at + "x_k", att.x_k, {"C", s.C}, V.token_shift);
    vector(at + "x_v", att.x_v, {"C", s.C}, V.token_shift);
    vector(at + "x_a", att.x_a, {"C", s.C}, V.token_shift);
    vector(at + "x_g", att.x_g, {"C", s.C}, V.token_shift && V.gate != gate_form::none);
    matrix(at + "receptance.weight", att.receptance, {"D", D}, {"C", s.C});
    matrix(at + "key.weight", att.key, {"D_kv", D_kv}, {"C", s.C});
    matrix(at + "value.weight", att.value, {"D_kv", D_kv}, {"C", s.C});
    matrix(at + "output.weight", att.output, {"C", s.C}, {"D", D});
    low_rank("w", att.w, {"D", D});
    vector(at + "w0", att.w.bias, {"D", D});
    low_rank("a", att.a, {"D", D});
    vector(at + "a0", att.a.bias, {"D", D});
    const bool value_mix = V.value_residual != first_mix::none && i > 0;
    low_rank("v", att.v, {"D_kv", D_kv}, value_mix);
    vector(at + "v0", att.v.bias, {"D_kv", D_kv}, value_mix);
    low_rank("g", att.g, {"D", D}, V.gate != gate_form::none);
    vector(at + "k_k", att.k_k, {"D_kv", D_kv});
    vector(at + "k_a", att.k_a, {"D", D});
    matrix(at + "r_k", att.r_k, {"H", s.H}, {"N", s.N}, V.bonus);
    norm(at + "ln_x", att.ln_x_weight, att.ln_x_bias, {"D", D}, V.norm == readout_norm::group_norm);

    vector(block + "ffn.x_k", layer.ffn.x_k, {"C", s.C});
    matrix(block + "ffn.key.weight", layer.ffn.key, {"F", s.F}, {"C", s.C});
    matrix(block + "ffn.value.weight", layer.ffn.value, {"C", s.C}, {"F", s.F});
  }
  norm("ln_out", p.ln_out_weight, p.ln_out_bias, {"C", s.C});
  matrix("head.weight", p.head, {"V", s.V}, {"C", s.C});
}

/// Whether the matrix of this name is best stored by inputs (core/weights.hpp): those come from a squared ReLU.
inline bool has_sparse_inputs(std::string_view name) noexcept { return name.ends_with(".ffn.value.weight"); }

/// Whether the matrix of this name in RWKV-LM may be quantised: the ones that linear multiplies with. The embedding,
/// the vectors and the low-rank matrices, which set the decay and the learning rate, never are: they are small, and
/// quantised they cost more than they save (rwkv.cpp and llama.cpp both learnt it).
inline bool is_quantisable(std::string_view name) noexcept {
  if (name == "head.weight") return true;
  for (const std::string_view each : {".att.receptance.weight", ".att.key.weight", ".att.value.weight",
                                      ".att.output.weight", ".ffn.key.weight", ".ffn.value.weight"})
    if (name.ends_with(each)) return true;
  return false;
}

}  // namespace rwkv7
