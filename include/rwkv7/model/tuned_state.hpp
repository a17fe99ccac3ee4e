// SPDX-License-Identifier: MIT
/// Initial states from state tuning, as RWKV-LM and RWKV-PEFT save them: a .pth (or .safetensors) file that holds
/// blocks.i.att.time_state [H, N, N] for every block with time-mix, and nothing else. Row = value, column = key, as in
/// states here.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "rwkv7/model/checkpoint.hpp"
#include "rwkv7/model/model_state.hpp"

namespace rwkv7 {

/// Overwrites `slot` [state_size] with the tuned S of every layer with time-mix; all else, which is not tuned, becomes
/// zeros. A model that has layers of attention says which (language_model::attention_layers). rwkv7::error, and nothing
/// is written, when the file does not fit a model of these sizes: it names the file and the tensor.
template <variant V, class T>
void load_tuned_state(const std::filesystem::path& path, const model_sizes& sizes, const view<T, 1>& slot,
                      std::span<const index_t> attention_layers = {}) {
  const auto is_tuned = [&](index_t i) {
    return i < sizes.layers && std::find(attention_layers.begin(), attention_layers.end(), i) == attention_layers.end();
  };
  index_t count = 0;
  for (index_t i = 0; i < sizes.layers; ++i) count += is_tuned(i) ? 1 : 0;
  checker check("tuned_state");
  check.require(sizes.layers - count == sizes.attention, "attention layers", sizes.layers - count,
                std::to_string(sizes.attention).c_str());
  if (check.result()) return report(check.result());
  const auto file = open_checkpoint(path);
  if (!file) return;
  diagnosis problem;
  const auto complain = [&](const std::string& name, const std::string& what) {
    problem.complain("rwkv7::tuned_state: %s: %s: %s", file.name.c_str(), detail::shown(name, 60).c_str(),
                     what.c_str());
  };
  const auto name_of = [](index_t layer) { return "blocks." + std::to_string(layer) + ".att.time_state"; };
  const std::vector<index_t> want{sizes.H, sizes.N, sizes.N};
  for (index_t i = 0; i < sizes.layers; ++i) {
    if (!is_tuned(i)) continue;
    const auto* tensor = file.find(name_of(i));
    if (!tensor)
      complain(name_of(i), "is missing");
    else if (!unpacked_type(tensor->type))
      complain(name_of(i), "dtype: got " + std::string(traits_of(tensor->type).name) + ", want F32, F16 or BF16");
    else if (tensor->shape != want)
      complain(name_of(i), "shape: want " + std::to_string(sizes.H) + " heads of " + std::to_string(sizes.N) + " by " +
                               std::to_string(sizes.N));
  }
  if (static_cast<index_t>(file.tensors.size()) > count)
    for (const auto& tensor : file.tensors) {
      const auto block = detail::split_block(naming::rwkv_lm, tensor.name);
      if (!block || block->rest != "att.time_state" || !is_tuned(static_cast<index_t>(block->block)))
        complain(tensor.name, "belongs to no state of this model");
    }
  check.operand("slot", slot, {{"state", model_state_size<V>(sizes)}}).writable("slot", slot);
  if (problem || check.result()) return report(problem ? problem : check.result());

  std::fill_n(slot.data(), slot.extent(0), T(0));
  const auto slots = carried<T, 2>::in_place({slot.data(), {1, slot.extent(0)}});
  index_t time_mixes = 0;
  for (index_t i = 0; i < sizes.layers; ++i) {
    if (!is_tuned(i)) continue;
    const auto* tensor = file.find(name_of(i));
    std::vector<std::byte> values(static_cast<std::size_t>(tensor->size()) * sizeof(float));
    unpack(*tensor, values.data());
    const weights<3> tuned(values.data(), *unpacked_type(tensor->type), {sizes.H, sizes.N, sizes.N});
    const auto S = [&] {
      if constexpr (V.layers == layer_form::transformer)
        return state_of_time_mix<V>(sizes, slots, time_mixes++).S.final;
      else
        return state_of_layer<V>(sizes, slots, time_mixes++).att.S.final;
    }();
    for (index_t h = 0; h < sizes.H; ++h)
      for (index_t row = 0; row < sizes.N; ++row)
        for (index_t column = 0; column < sizes.N; ++column)
          S(0, h, row, column) = static_cast<T>(tuned(h, row, column));
  }
}

}  // namespace rwkv7
