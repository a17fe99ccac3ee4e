// SPDX-License-Identifier: MIT
/// The layers of RWKV-LM: what language_model runs between embedding and head where layer_form is rwkv_lm.
#pragma once

#include "rwkv7/model/model_config.hpp"
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/model/rwkv_lm.hpp"

namespace rwkv7 {

/// Sizes and parameters of the model, and how its layers run.
template <variant V, class T>
class rwkv_lm_stack {
  static_assert(!V.qk_norm && !V.rope && !V.key_residual && !V.added_value && V.scaled_removal &&
                    V.key == key_rule::k_a,
                "rwkv7: no model with RWKV-LM's layers has these switches; layers = layer_form::transformer has them");

 public:
  /// Of the state, and of what the head reads.
  using wide = compute_type<T>;

  /// Binds the tensors of a file, or says what is wrong with it.
  diagnosis read(tensor_file& file, const model_config& config) {
    const auto problem =
        detail::rwkv_lm_reader(V, file, sizes_, weights_).read(config.head_size == 0 ? 64 : config.head_size);
    if (problem) return problem;
    const auto& layers = weights_.layers;
    for (std::size_t i = 1; i < layers.size(); ++i)
      if (hidden_rank(layers[i].att) > hidden_rank(layers[widest_].att)) widest_ = i;
    return problem;
  }

  /// As read from the tensors.
  const model_sizes& sizes() const noexcept { return sizes_; }
  /// False before read.
  bool has_layers() const noexcept { return !weights_.layers.empty(); }
  /// for_each_parameter.
  template <class F>
  void for_each(F&& f) {
    for_each_parameter(V, weights_, sizes_, f);
  }
  /// for_each_parameter.
  template <class F>
  void for_each(F&& f) const {
    for_each_parameter(V, weights_, sizes_, f);
  }
  /// [V, C]
  const weights<2>& emb() const noexcept { return weights_.emb; }
  /// [V, C]
  const weights<2>& head() const noexcept { return weights_.head; }

  /// Bytes of scratch that run needs.
  std::size_t workspace_size(const sequences& seq) const noexcept {
    workspace counting;
    take_v_first(counting, seq);
    const auto layer =
        has_layers() ? layer_workspace_size<T, V>(seq, sizes_.time_mix_dims(), weights_.layers[widest_]) : 0;
    return counting.required() + layer;
  }

  /// What is wrong with a state whose shape is right, or nothing.
  diagnosis validate_state(const sequences&, const carried<wide, 2>&) const noexcept { return {}; }

  /// x [B, T, C] from embeddings to the output of the last layer.
  template <class Exec>
  void run(Exec& exec, const sequences& seq, const view<T, 3>& x, const carried<wide, 2>& state,
           workspace memory) const {
    const auto v_first = take_v_first(memory, seq);
    layer_norm(exec, layer_norm_inputs<T>{.x = x, .weight = weights_.ln0_weight, .bias = weights_.ln0_bias}, x);
    for (index_t i = 0; i < sizes_.layers; ++i) {
      const auto part = state_of_layer<V>(sizes_, state, i);
      layer<V>(exec, seq, sizes_.time_mix_dims(), weights_.layers[static_cast<std::size_t>(i)], x,
               {.v = v_first, .produce = i == 0}, {{part.att.shift, part.att.S}, part.ffn}, memory);
    }
  }

  /// The norm before the head; y may be x.
  template <class Exec>
  void norm(Exec& exec, const view<wide, 3>& x, const view<wide, 3>& y) const {
    layer_norm(exec, layer_norm_inputs<wide>{.x = x, .weight = weights_.ln_out_weight, .bias = weights_.ln_out_bias},
               y);
  }

 private:
  view<T, 3> take_v_first(workspace& memory, const sequences& seq) const noexcept {
    if constexpr (V.value_residual == first_mix::none) return {};
    return memory.take<T>(seq.batch(), seq.tokens(), sizes_.time_mix_dims().D_kv());
  }

  model_sizes sizes_;
  model_weights weights_;
  std::size_t widest_ = 0;  // the layer that needs most scratch
};

}  // namespace rwkv7
