// SPDX-License-Identifier: MIT
/// The layers of a linearised Transformer: what language_model runs between embedding and head where layer_form is
/// transformer.
#pragma once

#include <algorithm>
#include <vector>

#include "rwkv7/model/detect_variant.hpp"
#include "rwkv7/model/hybrid_reader.hpp"
#include "rwkv7/model/model_state.hpp"
#include "rwkv7/ops/rope_table.hpp"

namespace rwkv7 {

/// Sizes and parameters of the model, and how its layers run.
template <variant V, class T>
class hybrid_stack {
 public:
  /// Of the state, and of what the head reads.
  using wide = compute_type<T>;

  /// Binds the tensors of a file, which get the names of hybrid_names.hpp, or says what is wrong with it.
  diagnosis read(tensor_file& file, const model_config& config) {
    auto problem = to_hybrid_names(file);
    if (!problem && !config.architecture.empty()) problem = agrees(file, config);
    if (!problem) problem = detail::hybrid_reader(V, file, config, sizes_, weights_).read();
    if (!problem && sizes_.attention > 0 && !std::is_same_v<T, wide>)
      problem.complain("rwkv7::language_model: %s: layers of attention run in float and double only",
                       file.name.c_str());
    if (problem) return problem;
    sizes_.window = config.window > 0 ? config.window : config.context;
    attention_rope_ = config.attention_rope;
    if (turns()) {
      frequency_.resize(static_cast<std::size_t>(sizes_.N / 2));
      rope_frequencies(config.rope_theta, view<double, 1>(frequency_.data(), {sizes_.N / 2}));
    }
    const auto& layers = weights_.layers;
    for (std::size_t i = 1; i < layers.size(); ++i) {
      if (layers[i].is_attention) attention_ = i;
      if (layers[widest_].is_attention || hidden_rank(layers[i].att) > hidden_rank(layers[widest_].att)) widest_ = i;
    }
    return problem;
  }

  /// As read from the tensors and the config.
  const model_sizes& sizes() const noexcept { return sizes_; }
  /// Which layers are attention, rising.
  std::vector<index_t> attention_layers() const {
    std::vector<index_t> found;
    for (std::size_t i = 0; i < weights_.layers.size(); ++i)
      if (weights_.layers[i].is_attention) found.push_back(static_cast<index_t>(i));
    return found;
  }
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
  const weights<2>& head() const noexcept { return weights_.head ? weights_.head : weights_.emb; }

  /// Bytes of scratch that run needs.
  std::size_t workspace_size(const sequences& seq) const noexcept {
    workspace counting;
    take_buffers(counting, seq);
    std::size_t layer = 0;
    if (has_layers())
      for (const std::size_t i : {widest_, attention_})
        layer = std::max(layer, hybrid_layer_workspace_size<T, V>(seq, sizes_.time_mix_dims(), weights_.layers[i]));
    return counting.required() + layer;
  }

  /// What is wrong with a state whose shape is right, or nothing.
  diagnosis validate_state(const sequences& seq, const carried<wide, 2>& state) const noexcept {
    checker check("language_model");
    if (!state.initial && !state.final && !state.every) return check.sequence_list(seq, -1, false).result();
    check.require(sizes_.attention == 0 || state.final || !state.initial, "state.final", 0,
                  "a state to write: attention keeps keys and values there");
    if (!state.initial) return check.result();
    for (index_t i = 0; i < seq.count(); ++i) {
      const auto position = stored_position(state.initial.at(seq[i].slot, 0));
      constexpr std::int64_t most = std::int64_t{1} << 47;
      check.require(position >= 0 && position < most, "state.initial: position in slot", seq[i].slot,
                    "two whole numbers: is this a state of another model?");
    }
    return check.result();
  }

  /// x [B, T, C] from embeddings to the output of the last layer.
  template <class Exec>
  void run(Exec& exec, const sequences& seq, const view<T, 3>& x, const carried<wide, 2>& state,
           workspace memory) const {
    const bool stateless = !state.initial && !state.final && !state.every;
    const auto z = take_buffers(memory, seq);
    if (stateless && seq.is_packed())  // slots name nothing, whatever they are
      return run_on(exec, packed{seq.as_packed().cu_seqlens}, x, state, z, memory);
    run_on(exec, seq, x, state, z, memory);
  }

  /// The norm before the head; y may be x.
  template <class Exec>
  void norm(Exec& exec, const view<wide, 3>& x, const view<wide, 3>& y) const {
    rms_norm(exec,
             rms_norm_inputs<wide>{
                 .x = split_heads(x, sizes_.C), .weight = weights_.ln_out, .eps = weights_.layers.front().norm_eps},
             split_heads(y, sizes_.C));
  }

 private:
  struct buffers {
    view<T, 3> v_first{}, k_first{};   // [B, T, D_kv]   of the layer that residuals lean to
    view<wide, 3> cos{}, sin{};        // [B, T, N / 2]
    view<std::int64_t, 1> position{};  // [slots]        tokens before this call
  };

  template <class Exec>
  void run_on(Exec& exec, const sequences& seq, const view<T, 3>& x, const carried<wide, 2>& state, const buffers& z,
              workspace memory) const {
    begin(seq, z, state);
    const view<const std::int64_t, 1> position = z.position;
    const auto rows = state.final ? slice(state.final, 0, 0, std::min(state.final.extent(0), position.extent(0)))
                                  : state.final;  // as many as there are positions
    if (turns())
      rope_table(exec, seq,
                 rope_table_inputs<wide>{
                     .position = position,
                     .frequency = view<const double, 1>(frequency_.data(), {static_cast<index_t>(frequency_.size())})},
                 {.cos = z.cos, .sin = z.sin});
    index_t time_mixes = 0, attentions = 0;
    for (index_t i = 0; i < sizes_.layers; ++i) {
      const auto& p = weights_.layers[static_cast<std::size_t>(i)];
      hybrid_layer_inputs<T> in{.window = sizes_.window};
      if (p.is_attention ? attention_rope_ : V.rope) in.cos = z.cos, in.sin = z.sin;
      hybrid_layer_state<T> part;
      if (!p.is_attention)
        part.att = state_of_time_mix<V>(sizes_, state, time_mixes++);
      else if constexpr (std::is_same_v<T, wide>)
        part.cache = rings_of_attention<V>(sizes_, rows, position, attentions++);
      hybrid_layer<V>(exec, seq, sizes_.time_mix_dims(), p, in, x,
                      {.v = z.v_first, .k = z.k_first, .produce = i == weights_.first}, part, memory);
    }
    end(seq, z.position, state);
  }

  /// What the config calls the variant is what this one is.
  static diagnosis agrees(const tensor_file& file, const model_config& config) {
    variant told = V;
    auto problem = detect_variant(file, config, told);
    if (!problem && told != V)
      problem.complain("rwkv7::language_model: %s: rwkv_architecture: got %s, but this model's variant is another",
                       file.name.c_str(), detail::shown(config.architecture, 40).c_str());
    return problem;
  }

  bool turns() const noexcept { return V.rope || (sizes_.attention > 0 && attention_rope_); }

  buffers take_buffers(workspace& memory, const sequences& seq) const noexcept {
    const index_t B = seq.batch(), tokens = seq.tokens(), D_kv = sizes_.time_mix_dims().D_kv();
    buffers z;
    if constexpr (V.value_residual != first_mix::none) z.v_first = memory.take<T>(B, tokens, D_kv);
    if constexpr (V.key_residual) z.k_first = memory.take<T>(B, tokens, D_kv);
    if (turns()) z.cos = memory.take<wide>(B, tokens, sizes_.N / 2), z.sin = memory.take<wide>(B, tokens, sizes_.N / 2);
    // Asked for before sequences are checked: lists may be short and slots anything.
    constexpr index_t most = index_t{1} << 31;
    const auto& listed = seq.as_packed().state_indices;
    index_t slots = seq.count();
    for (index_t i = 0; seq.is_packed() && i < listed.size(); ++i)
      slots = std::max(slots, std::min(listed[i], most) + 1);
    z.position = memory.take<std::int64_t>(slots);
    return z;
  }

  /// What layers find: the positions, rings of the final state that hold what those of the initial one do, and zeros
  /// for residuals where no layer gives their values.
  void begin(const sequences& seq, const buffers& z, const carried<wide, 2>& state) const noexcept {
    const index_t rings = model_snapshot_size<V>(sizes_), size = model_state_size<V>(sizes_) - rings;
    for (index_t i = 0; i < seq.count(); ++i) {
      const index_t slot = seq[i].slot;
      z.position(slot) = state.initial ? stored_position(state.initial.at(slot, 0)) : 0;
      if (!state.initial || !state.final || size == 0) continue;
      const wide* from = state.initial.at(slot, rings);
      wide* to = state.final.at(slot, rings);
      if (from != to) std::copy_n(from, size, to);
    }
    if (weights_.first >= 0) return;
    std::fill_n(z.v_first.data(), z.v_first.size(), T{});
    std::fill_n(z.k_first.data(), z.k_first.size(), T{});
  }
  /// Counts the tokens, in the state and in its snapshots.
  void end(const sequences& seq, const view<std::int64_t, 1>& position, const carried<wide, 2>& state) const noexcept {
    for (index_t i = 0; i < seq.count(); ++i) {
      const auto [b, first, length, slot] = seq[i];
      const std::int64_t before = position(slot);
      if (state.every)
        for (index_t t = 0; t < length; ++t)
          store_position(before + t + 1, state.every.ring.at(slot, state.every.place(t), 0));
      if (state.final) store_position(before + length, state.final.at(slot, 0));
    }
  }

  model_sizes sizes_;
  hybrid_weights weights_;
  bool attention_rope_ = false;
  std::vector<double> frequency_;           // [N / 2]
  std::size_t widest_ = 0, attention_ = 0;  // the layers that need most scratch
};

}  // namespace rwkv7
