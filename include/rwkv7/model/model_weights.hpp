// SPDX-License-Identifier: MIT
/// What a whole language model is made of: its sizes, its parameters, and their names in RWKV-LM.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
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

/// One parameter of a model: where it is kept, and what a checkpoint must say of it.
struct parameter {
  std::string name;          // in RWKV-LM: "blocks.3.att.w1"
  weights<1>* vector;        // the member that holds it, or
  weights<2>* matrix;        // this one
  std::array<axis, 2> axes;  // it must have, given the sizes; of a vector the first
  presence needed;           // of it in a checkpoint
};

namespace detail {

/// Collects parameters. All that is known at run time, so that a program compiles it once for all variants.
class parameter_list {
 public:
  void vector(const std::string& name, weights<1>& w, axis n, presence p = presence::required) {
    all.push_back({name, &w, nullptr, {n}, p});
  }
  void matrix(const std::string& name, weights<2>& w, axis rows, axis columns, presence p = presence::required) {
    all.push_back({name, nullptr, &w, {rows, columns}, p});
  }
  void norm(const std::string& name, weights<1>& weight, weights<1>& bias, axis n, presence p = presence::required) {
    vector(name + ".weight", weight, n, p);
    vector(name + ".bias", bias, n, p);
  }

  std::vector<parameter> all{};
};

/// The parameters of one time-mix block, whose names begin with `at`: "blocks.3.att.". `first` is whether residuals
/// lean towards the values and keys of this layer.
///
/// What a variant has switched off is unused in models of RWKV-LM's layers, and unknown in the others: there a norm or
/// a bias that nobody reads would be a model run wrongly.
inline void list_time_mix(const variant& v, time_mix_weights& att, const model_sizes& s, bool first,
                          const std::string& at, parameter_list& each) {
  const bool linearised = v.layers == layer_form::transformer;
  const index_t D = s.H * s.N, D_kv = s.H_kv * s.N;
  const auto vector = [&](const char* name, weights<1>& w, axis n, bool used = true) {
    if (used || !linearised) each.vector(at + name, w, n, used ? presence::required : presence::unused);
  };
  const auto matrix = [&](const std::string& name, weights<2>& w, axis rows, axis columns, bool used = true) {
    if (used || !linearised) each.matrix(at + name, w, rows, columns, used ? presence::required : presence::unused);
  };
  const auto low_rank = [&](const std::string& letter, low_rank_weights& w, axis width, bool used = true) {
    matrix(letter + "1", w.in, {"C", s.C}, {"rank", w.in.extent(1)}, used);
    matrix(letter + "2", w.out, {"rank", w.in.extent(1)}, width, used);
  };
  const auto residual = [&](const std::string& letter, low_rank_weights& w, axis width) {
    const presence p = first ? presence::unused : presence::required;
    each.matrix(at + letter + "1", w.in, {"C", s.C}, {"rank", w.in.extent(1)}, p);
    each.matrix(at + letter + "2", w.out, {"rank", w.in.extent(1)}, width, p);
    each.vector(at + letter + "0", w.bias, width, p);
  };
  const auto linear = [&](const std::string& name, weights<2>& w, weights<1>& bias, axis rows, axis columns) {
    matrix(name + ".weight", w, rows, columns);
    if (linearised) each.vector(at + name + ".bias", bias, rows, presence::optional);
  };

  vector("x_r", att.x_r, {"C", s.C}, v.token_shift);
  vector("x_w", att.x_w, {"C", s.C}, v.token_shift);
  vector("x_k", att.x_k, {"C", s.C}, v.token_shift);
  vector("x_v", att.x_v, {"C", s.C}, v.token_shift);
  vector("x_a", att.x_a, {"C", s.C}, v.token_shift);
  const bool gated = v.gate != gate_form::none;
  if (v.token_shift || !linearised)  // ARWKV has x_g without a gate as well
    each.vector(at + "x_g", att.x_g, {"C", s.C}, v.token_shift && gated ? presence::required : presence::unused);
  linear("receptance", att.receptance, att.receptance_bias, {"D", D}, {"C", s.C});
  linear("key", att.key, att.key_bias, {"D_kv", D_kv}, {"C", s.C});
  linear("value", att.value, att.value_bias, {"D_kv", D_kv}, {"C", s.C});
  linear("output", att.output, att.output_bias, {"C", s.C}, {"D", D});
  if (v.qk_norm) {
    vector("ln_r.weight", att.r_norm, {"N", s.N});
    vector("ln_k.weight", att.k_norm, {"N", s.N});
  }
  low_rank("w", att.w, {"D", D});
  vector("w0", att.w.bias, {"D", D});
  low_rank("a", att.a, {"D", D});
  vector("a0", att.a.bias, {"D", D});
  if (v.value_residual != first_mix::none || !linearised)
    residual("v", att.v,
             {v.value_residual == first_mix::after_repeat ? "D" : "D_kv", value_width(v, s.time_mix_dims())});
  if (v.key_residual) residual("k", att.k, {"D_kv", D_kv});
  if (v.added_value) {
    low_rank("v", att.v, {"D", D});
    each.matrix(at + "k1", att.k.in, {"C", s.C}, {"rank", 0}, presence::unused);  // so a published template has them
    each.matrix(at + "k2", att.k.out, {"rank", 0}, {"D", D}, presence::unused);
  }
  low_rank("g", att.g, {"D", D}, gated);
  vector("k_k", att.k_k, {"D", linearised ? D : D_kv}, v.scaled_removal);
  vector("k_a", att.k_a, {"D", D}, v.key == key_rule::k_a);
  matrix("r_k", att.r_k, {"H", s.H}, {"N", s.N}, v.bonus);
  vector("ln_x.weight", att.ln_x_weight, {"D", D}, v.norm == readout_norm::group_norm);
  vector("ln_x.bias", att.ln_x_bias, {"D", D}, v.norm == readout_norm::group_norm);
}

}  // namespace detail

/// All parameters of a model of this variant. Unused are the value mix of the first layer, and what is switched off.
inline std::vector<parameter> parameters_of(const variant& v, model_weights& p, const model_sizes& s) {
  detail::parameter_list each;
  each.matrix("emb.weight", p.emb, {"V", s.V}, {"C", s.C});
  each.norm("blocks.0.ln0", p.ln0_weight, p.ln0_bias, {"C", s.C});
  for (std::size_t i = 0; i < p.layers.size(); ++i) {
    auto& layer = p.layers[i];
    const std::string block = "blocks." + std::to_string(i) + ".";
    each.norm(block + "ln1", layer.ln1_weight, layer.ln1_bias, {"C", s.C});
    each.norm(block + "ln2", layer.ln2_weight, layer.ln2_bias, {"C", s.C});
    const bool first = i == 0 || v.value_residual == first_mix::none;
    detail::list_time_mix(v, layer.att, s, first, block + "att.", each);
    each.vector(block + "ffn.x_k", layer.ffn.x_k, {"C", s.C});
    each.matrix(block + "ffn.key.weight", layer.ffn.key, {"F", s.F}, {"C", s.C});
    each.matrix(block + "ffn.value.weight", layer.ffn.value, {"C", s.C}, {"F", s.F});
  }
  each.norm("ln_out", p.ln_out_weight, p.ln_out_bias, {"C", s.C});
  each.matrix("head.weight", p.head, {"V", s.V}, {"C", s.C});
  return std::move(each.all);
}

/// f(name, tensor, axes, presence) for every parameter of a model, with the tensor as weights<1> or weights<2>, const
/// where the model is, and axes as std::span.
template <class Weights, class F>
void for_each_parameter(const variant& v, Weights& p, const model_sizes& s, F&& f) {
  for (const auto& each : parameters_of(v, const_cast<std::remove_const_t<Weights>&>(p), s)) {
    const std::span<const axis> axes(each.axes.data(), each.vector ? 1 : 2);
    using vector = std::conditional_t<std::is_const_v<Weights>, const weights<1>&, weights<1>&>;
    using matrix = std::conditional_t<std::is_const_v<Weights>, const weights<2>&, weights<2>&>;
    if (each.vector)
      f(each.name, static_cast<vector>(*each.vector), axes, each.needed);
    else
      f(each.name, static_cast<matrix>(*each.matrix), axes, each.needed);
  }
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
