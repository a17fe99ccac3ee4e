// SPDX-License-Identifier: MIT
/// Golden models of linearised Transformers as language_model runs them.
#pragma once

#include "rwkv7/model/language_model.hpp"
#include "support/golden_family.hpp"
#include "support/model_call.hpp"

namespace rwkv7_test {

/// What tensors do not tell of a golden model.
inline rwkv7::model_config config_of(const family_case& golden) {
  rwkv7::model_config config;
  config.norm_eps = golden.real("rms_eps");
  config.head_norm_eps = golden.real("qk_norm_eps");
  config.group_norm_eps = golden.real("group_norm_eps");
  config.rope_theta = golden.real("rope_theta");
  config.head_size = golden.size("N");
  config.attention_layers = golden.placement();
  config.attention_rope = golden.flag("attention_rope");
  config.tied_head = golden.flag("tied");
  config.window = golden.size("window");
  config.context = 32;
  return config;
}

/// The model of a golden case, opened from a file that is gone again.
template <rwkv7::variant V, class T>
language_model<V, T> open_family(const family_case& golden, const rwkv7::model_config& config) {
  const temporary_file file(safetensors_bytes(golden.checkpoint()));
  return language_model<V, T>::open(file.path(), config);
}

/// The states that the sequences of a golden case begin from. Places of rings that nobody may read hold NaN.
template <rwkv7::variant V, class T>
std::vector<T> initial_states(const family_case& golden, const language_model<V, T>& model) {
  const auto& s = model.sizes();
  const index_t slots = golden.slots();
  const auto positions = golden.positions();
  std::vector<T> states(count_of(slots * model.state_size()), std::numeric_limits<T>::quiet_NaN());
  const view<T, 2> all(states.data(), {slots, model.state_size()});
  const view<const std::int64_t, 1> position(positions.data(), {slots});
  for (index_t slot = 0; slot < slots; ++slot) rwkv7::store_position(positions[count_of(slot)], all.at(slot, 0));
  index_t time_mixes = 0, attentions = 0;
  for (index_t i = 0; i < s.layers; ++i) {
    const auto layer = std::to_string(i);
    if (!golden.is_attention(i)) {
      const auto part = rwkv7::state_of_time_mix<V>(s, carried<T, 2>::in_place(all), time_mixes++);
      const auto shift = golden.initial<T>("shift/" + layer, slots * s.C);
      const auto S = golden.initial<T>("state/" + layer, slots * s.H * s.N * s.N);
      for (index_t slot = 0; slot < slots; ++slot) {
        if (part.shift.final) std::copy_n(&shift[count_of(slot * s.C)], s.C, part.shift.final.at(slot, 0));
        std::copy_n(&S[count_of(slot * s.H * s.N * s.N)], s.H * s.N * s.N, part.S.final.at(slot, 0, 0, 0));
      }
      continue;
    }
    const auto rings = rwkv7::rings_of_attention<V>(s, all, position, attentions++);
    const index_t cached = golden.size("cached");
    const auto k = golden.initial<T>("state/" + layer + "/k", slots * cached * s.H_kv * s.N);
    const auto v = golden.initial<T>("state/" + layer + "/v", slots * cached * s.H_kv * s.N);
    for (index_t slot = 0; slot < slots; ++slot)
      for (index_t row = 0; row < cached; ++row) {
        const index_t p = positions[count_of(slot)] - cached + row;
        for (index_t g = 0; g < s.H_kv && p >= 0; ++g) {
          const index_t from = ((slot * cached + row) * s.H_kv + g) * s.N;
          std::copy_n(&k[count_of(from)], s.N, rings.k.at(slot, g, p % s.context, 0));
          std::copy_n(&v[count_of(from)], s.N, rings.v.at(slot, g, p % s.context, 0));
        }
      }
  }
  return states;
}

}  // namespace rwkv7_test
