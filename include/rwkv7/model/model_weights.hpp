// SPDX-License-Identifier: MIT
/// What a whole language model is made of: its sizes, its parameters, and their names in RWKV-LM.
#pragma once

#include <array>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "rwkv7/block/layer.hpp"

namespace rwkv7 {

/// All read from the tensors of the checkpoint but `context` and `window`. Ranks of the low-rank maps are those of
/// their matrices.
struct model_sizes {
  index_t V = 0;          // vocabulary
  index_t C = 0;          // channels of the residual stream
  index_t layers = 0;     // blocks
  index_t H = 0;          // heads
  index_t N = 0;          // head size
  index_t H_kv = 0;       // heads of the projected keys and values, a divisor of H
  index_t F = 0;          // width of channel-mix, or of the MLP
  index_t attention = 0;  // blocks that are attention; the others are time-mix
  index_t context = 0;    // tokens whose keys and values each of those keeps
  index_t window = 0;     // how many of these it sees; 0: all

  /// The sizes of its time-mix and attention blocks.
  constexpr dims time_mix_dims() const noexcept { return {.C = C, .H = H, .N = N, .H_kv = H_kv}; }
};

/// The parameters of a whole model with RWKV-LM's layers.
struct model_weights {
  weights<2> emb{};                           // [V, C]
  weights<1> ln0_weight{}, ln0_bias{};        // [C], on the embedding; stored in block 0
  std::vector<layer_weights> layers{};        // blocks
  weights<1> ln_out_weight{}, ln_out_bias{};  // [C]
  weights<2> head{};                          // [V, C]
};

/// Whether a checkpoint must have a parameter, may have it, or may have it although nothing reads it.
enum class presence : unsigned char { required, optional, unused };

namespace detail {

/// Calls f(name, tensor, axes, presence) with the axes as std::array.
template <class F>
class parameter_visitor {
 public:
  explicit parameter_visitor(F& f) noexcept : f_(f) {}

  void vector(const std::string& name, auto& w, axis n, presence p = presence::required) {
    f_(name, w, std::array{n}, p);
  }
  void matrix(const std::string& name, auto& w, axis rows, axis columns, presence p = presence::required) {
    f_(name, w, std::array{rows, columns}, p);
  }
  void norm(const std::string& name, auto& weight, auto& bias, axis n, presence p = presence::required) {
    vector(name + ".weight", weight, n, p);
    vector(name + ".bias", bias, n, p);
  }

 private:
  F& f_;
};

/// Visits the parameters of one time-mix block, whose names begin with `at`: "blocks.3.att.". `first` is whether
/// residuals lean towards the values and keys of this layer.
///
/// What a variant has switched off is unused in models of RWKV-LM's layers, and unknown in the others: there a norm or
/// a bias that nobody reads would be a model run wrongly.
template <variant V, class Weights, class F>
void visit_time_mix(Weights& att, const model_sizes& s, bool first, const std::string& at, parameter_visitor<F>& each) {
  constexpr bool linearised = V.layers == layer_form::transformer;
  const index_t D = s.H * s.N, D_kv = s.H_kv * s.N, D_v = value_width<V>(s.time_mix_dims());
  const auto vector = [&](const char* name, auto& w, axis n, bool used = true) {
    if (used || !linearised) each.vector(at + name, w, n, used ? presence::required : presence::unused);
  };
  const auto matrix = [&](const std::string& name, auto& w, axis rows, axis columns, bool used = true) {
    if (used || !linearised) each.matrix(at + name, w, rows, columns, used ? presence::required : presence::unused);
  };
  const auto low_rank = [&](const std::string& letter, auto& w, axis width, bool used = true) {
    matrix(letter + "1", w.in, {"C", s.C}, {"rank", w.in.extent(1)}, used);
    matrix(letter + "2", w.out, {"rank", w.in.extent(1)}, width, used);
  };
  const auto residual = [&](const std::string& letter, auto& w, axis width) {
    const presence p = first ? presence::unused : presence::required;
    each.matrix(at + letter + "1", w.in, {"C", s.C}, {"rank", w.in.extent(1)}, p);
    each.matrix(at + letter + "2", w.out, {"rank", w.in.extent(1)}, width, p);
    each.vector(at + letter + "0", w.bias, width, p);
  };
  const auto linear = [&](const std::string& name, auto& w, auto& bias, axis rows, axis columns) {
    matrix(name + ".weight", w, rows, columns);
    if (linearised) each.vector(at + name + ".bias", bias, rows, presence::optional);
  };

  vector("x_r", att.x_r, {"C", s.C}, V.token_shift);
  vector("x_w", att.x_w, {"C", s.C}, V.token_shift);
  vector("x_k", att.x_k, {"C", s.C}, V.token_shift);
  vector("x_v", att.x_v, {"C", s.C}, V.token_shift);
  vector("x_a", att.x_a, {"C", s.C}, V.token_shift);
  vector("x_g", att.x_g, {"C", s.C}, V.token_shift && V.gate != gate_form::none);
  linear("receptance", att.receptance, att.receptance_bias, {"D", D}, {"C", s.C});
  linear("key", att.key, att.key_bias, {"D_kv", D_kv}, {"C", s.C});
  linear("value", att.value, att.value_bias, {"D_kv", D_kv}, {"C", s.C});
  linear("output", att.output, att.output_bias, {"C", s.C}, {"D", D});
  if constexpr (V.qk_norm) {
    vector("ln_r.weight", att.r_norm, {"N", s.N});
    vector("ln_k.weight", att.k_norm, {"N", s.N});
  }
  low_rank("w", att.w, {"D", D});
  vector("w0", att.w.bias, {"D", D});
  low_rank("a", att.a, {"D", D});
  vector("a0", att.a.bias, {"D", D});
  if constexpr (V.value_residual != first_mix::none || !linearised)
    residual("v", att.v, {V.value_residual == first_mix::after_repeat ? "D" : "D_kv", D_v});
  if constexpr (V.key_residual) residual("k", att.k, {"D_kv", D_kv});
  if constexpr (V.added_value) low_rank("v", att.v, {"D", D});
  low_rank("g", att.g, {"D", D}, V.gate != gate_form::none);
  vector("k_k", att.k_k, {"D", linearised ? D : D_kv}, V.scaled_removal);
  vector("k_a", att.k_a, {"D", D}, V.key == key_rule::k_a);
  matrix("r_k", att.r_k, {"H", s.H}, {"N", s.N}, V.bonus);
  vector("ln_x.weight", att.ln_x_weight, {"D", D}, V.norm == readout_norm::group_norm);
  vector("ln_x.bias", att.ln_x_bias, {"D", D}, V.norm == readout_norm::group_norm);
}

}  // namespace detail

/// Visits every parameter: f(name, tensor, axes, presence).
///
///   name      in RWKV-LM: "blocks.3.att.w1"
///   tensor    the member of `p` that holds it, weights<1> or weights<2>
///   axes      std::array of the axes it must have, given the sizes
///   presence  unused is the value mix of the first layer, and what the variant has switched off
template <variant V, class Weights, class F>
requires std::same_as<std::remove_const_t<Weights>, model_weights>
void for_each_parameter(Weights& p, const model_sizes& s, F&& f) {
  detail::parameter_visitor each(f);
  each.matrix("emb.weight", p.emb, {"V", s.V}, {"C", s.C});
  each.norm("blocks.0.ln0", p.ln0_weight, p.ln0_bias, {"C", s.C});
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    auto& layer = p.layers[i];
    const std::string block = "blocks." + std::to_string(i) + ".";
    each.norm(block + "ln1", layer.ln1_weight, layer.ln1_bias, {"C", s.C});
    each.norm(block + "ln2", layer.ln2_weight, layer.ln2_bias, {"C", s.C});
    const bool first = i == 0 || V.value_residual == first_mix::none;
    detail::visit_time_mix<V>(layer.att, s, first, block + "att.", each);
    each.vector(block + "ffn.x_k", layer.ffn.x_k, {"C", s.C});
    each.matrix(block + "ffn.key.weight", layer.ffn.key, {"F", s.F}, {"C", s.C});
    each.matrix(block + "ffn.value.weight", layer.ffn.value, {"C", s.C}, {"F", s.F});
  }
  each.norm("ln_out", p.ln_out_weight, p.ln_out_bias, {"C", s.C});
  each.matrix("head.weight", p.head, {"V", s.V}, {"C", s.C});
}

/// Whether the matrix of this name is best stored by inputs (core/weights.hpp): those come from a squared ReLU.
inline bool has_sparse_inputs(std::string_view name) noexcept { return name.ends_with(".ffn.value.weight"); }

/// Whether the matrix of this name in RWKV-LM may be quantised: the ones that linear multiplies with. The embedding,
/// the vectors and the low-rank matrices, which set the decay and the learning rate, never are: they are small, and
/// quantised they cost more than they save (rwkv.cpp and llama.cpp both learnt it).
inline bool is_quantisable(std::string_view name) noexcept {
  if (name == "head.weight") return true;
  for (const std::string_view each :
       {".att.receptance.weight", ".att.key.weight", ".att.value.weight", ".att.output.weight", ".att.q_proj.weight",
        ".att.k_proj.weight", ".att.v_proj.weight", ".att.o_proj.weight", ".ffn.key.weight", ".ffn.value.weight",
        ".ffn.gate.weight", ".ffn.up.weight", ".ffn.down.weight"})
    if (name.ends_with(each)) return true;
  return false;
}

}  // namespace rwkv7
