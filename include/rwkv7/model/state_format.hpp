// SPDX-License-Identifier: MIT
/// What the state of a model is made of, so that a file of states can say whose they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rwkv7/core/check.hpp"
#include "rwkv7/model/model_weights.hpp"

namespace rwkv7 {

/// What one state is made of. States whose formats agree in all but `context` and `window` may stand for each other.
struct state_format {
  /// The variant bit of linearised Transformers.
  static constexpr std::uint32_t transformer_bit = 1u << 16;

  std::uint64_t layers = 0, C = 0, H = 0, N = 0;  // as in model_sizes
  bool att_shift = true, ffn_shift = true;        // which shift vectors layers of time-mix have
  std::uint32_t variant_bits = 0;                 // how the variant differs from x070, as docs/state.md lists it

  // In linearised Transformers alone:
  std::uint64_t H_kv = 0;                         // heads of keys and values
  std::vector<std::uint64_t> attention_layers{};  // which layers are attention, rising; the others are time-mix
  std::uint64_t context = 0;                      // tokens that fit into the rings of those; 0 where there are none
  std::uint64_t window = 0;                       // how many of these a token sees, itself included

  /// Whether it begins with a position, and rings may be behind it.
  bool transformer() const noexcept { return (variant_bits & transformer_bit) != 0; }

  /// Elements of one state in memory; 0 for none, and for more than `most`.
  std::uint64_t size(std::uint64_t most = std::uint64_t{1} << 60) const noexcept {
    const std::uint64_t rest = size_without_position(context, most), position = transformer() ? 2 : 0;
    if (rest == 0 || rest + position > most || (context == 0 && !attention_layers.empty())) return 0;
    return position + rest;
  }
  /// The same with rings of `tokens` tokens, and without the position: what a file holds.
  std::uint64_t size_without_position(std::uint64_t tokens, std::uint64_t most) const noexcept {
    const std::uint64_t attention = attention_layers.size(), shifts = (att_shift ? 1u : 0u) + (ffn_shift ? 1u : 0u);
    if (C == 0 || H == 0 || N == 0 || layers <= attention || most >= std::uint64_t{1} << 62) return 0;
    // most + 1 where it is more than `most`, so that sums of two cannot overflow.
    const auto product = [most](std::initializer_list<std::uint64_t> factors) {
      std::uint64_t result = 1;
      for (const auto n : factors)
        if (n == 0) return std::uint64_t{0};
      for (const auto n : factors) result = result > most / n ? most + 1 : result * n;
      return result;
    };
    const std::uint64_t layer = product({shifts, C}) + product({H, N, N});
    const std::uint64_t all = product({layers - attention, layer}) + product({2, attention, H_kv, tokens, N});
    return all > most ? 0 : all;
  }
};

namespace detail {

template <variant V>
constexpr std::uint32_t variant_bits_of() noexcept {
  std::uint32_t bits = 0, bit = 1;
  for (const bool differs : {!V.token_shift, V.decay != decay_offset::half, V.value_residual == first_mix::none,
                             V.norm != readout_norm::group_norm, !V.bonus, V.gate == gate_form::none,
                             V.value_residual == first_mix::after_repeat, V.norm == readout_norm::scale,
                             V.gate == gate_form::one_plus_sigmoid, V.key_residual, V.added_value, V.qk_norm, V.rope,
                             !V.scaled_removal, V.key == key_rule::one_minus_omega_plus_eta,
                             V.key == key_rule::one_minus_decay_plus_eta, V.layers == layer_form::transformer}) {
    if (differs) bits |= bit;
    bit *= 2;
  }
  return bits;
}

/// A field that cannot be so.
struct format_fault {
  std::string field;
  std::uint64_t got = 0;
  std::string want;
};
/// What is wrong with what a format says of attention, or nothing. Its other fields show in its size.
inline std::optional<format_fault> attention_fault(const state_format& f) {
  const auto& attention = f.attention_layers;
  if (!f.transformer()) {
    if (attention.empty() && f.H_kv == 0 && f.context == 0 && f.window == 0) return {};
    return format_fault{"variant bits", f.variant_bits,
                        "bit 16, for states with attention layers, H_kv, context or window"};
  }
  if (f.H_kv == 0 || f.H % f.H_kv != 0)
    return format_fault{"H_kv", f.H_kv, "a divisor of H, which is " + std::to_string(f.H)};
  if (attention.size() >= f.layers)
    return format_fault{"attention layers", attention.size(), "fewer than the " + std::to_string(f.layers) + " layers"};
  for (std::size_t i = 0; i < attention.size(); ++i)
    if (attention[i] >= f.layers || (i > 0 && attention[i] <= attention[i - 1]))
      return format_fault{"attention layers[" + std::to_string(i) + "]", attention[i],
                          "rising numbers below the " + std::to_string(f.layers) + " layers"};
  if (attention.empty() != (f.context == 0))
    return format_fault{"context", f.context, attention.empty() ? "0 without attention layers" : "1 or more"};
  if (f.window > f.context || (f.context > 0 && f.window == 0))
    return format_fault{"window", f.window, "1 to context, which is " + std::to_string(f.context)};
  return {};
}

}  // namespace detail

/// The format of the states of a model of these sizes. `attention_layers` says which layers are attention, rising, as
/// language_model::attention_layers does. rwkv7::error when they are not as many as the sizes say; where exceptions are
/// off the result is then empty, and has no size.
template <variant V>
state_format state_format_of(const model_sizes& s, std::span<const index_t> attention_layers = {}) {
  const auto count = [](index_t n) { return static_cast<std::uint64_t>(n); };
  state_format result{.layers = count(s.layers),
                      .C = count(s.C),
                      .H = count(s.H),
                      .N = count(s.N),
                      .att_shift = V.token_shift,
                      .ffn_shift = V.layers == layer_form::rwkv_lm,
                      .variant_bits = detail::variant_bits_of<V>()};
  checker check("state_format_of");
  const auto given = static_cast<index_t>(attention_layers.size());
  check.require(given == s.attention, "attention layers", given, std::to_string(s.attention).c_str());
  if (check.result()) {
    report(check.result());
    return {};
  }
  if constexpr (V.layers == layer_form::transformer) {
    result.H_kv = count(s.H_kv);
    if (s.attention > 0) result.context = count(s.context), result.window = count(s.window > 0 ? s.window : s.context);
    for (const index_t layer : attention_layers) result.attention_layers.push_back(count(layer));
  }
  return result;
}
template <variant V, class T>
class language_model;
/// The same of a model.
template <variant V, class T>
state_format state_format_of(const language_model<V, T>& model) {
  return state_format_of<V>(model.sizes(), model.attention_layers());
}

}  // namespace rwkv7
