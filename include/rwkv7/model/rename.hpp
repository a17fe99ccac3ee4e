// SPDX-License-Identifier: MIT
/// From one naming scheme to another: names, extents, strides.
#pragma once

#include <deque>

#include "rwkv7/core/weights.hpp"
#include "rwkv7/model/naming.hpp"

namespace rwkv7 {

namespace detail {

/// The tensor in RWKV-LM's layout; one of another shape than expected stays as it is, to be named by who binds it.
inline void to_rwkv_lm_layout(layout how, index_t head_size, stored_tensor& t) {
  switch (how) {
    case layout::plain:
      break;
    case layout::deep:
    case layout::deep_hf:
      while (t.shape.size() < 3) {
        t.shape.insert(t.shape.begin(), 1);
        t.strides.insert(t.strides.begin(), t.size());
      }
      break;
    case layout::low_rank:
      if (t.shape.size() != 2) break;
      std::swap(t.shape[0], t.shape[1]);
      std::swap(t.strides[0], t.strides[1]);
      break;
    case layout::heads:
      if (t.shape.size() != 1 || head_size < 1 || t.shape[0] % head_size != 0) break;
      t.shape = {t.shape[0] / head_size, head_size};
      t.strides = {head_size * t.strides[0], t.strides[0]};
      break;
  }
}

/// Whether a block's tensor is all mixing vectors, one per row.
inline bool is_stacked_mix(naming scheme, std::string_view rest, const stored_tensor& t) noexcept {
  return rest == (scheme == naming::hf ? stacked_mix_hf : stacked_mix_gguf) && !t.shape.empty() && t.shape[0] > 0 &&
         t.shape[0] <= 6 && t.size() == t.shape[0] * t.shape.back() && t.dense() && traits_of(t.type).elements == 1;
}

}  // namespace detail

/// Gives the tensors RWKV-LM's names, shapes and order of axes; no byte is copied. One that the scheme does not know
/// keeps its name. `head_size` is that of r_k where the file has it flat. Complains where two tensors get one name.
inline diagnosis to_rwkv_lm(tensor_file& file, naming from, index_t head_size) {
  if (from == naming::rwkv_lm) return {};
  std::vector<stored_tensor> result;
  for (auto& tensor : file.tensors) {
    for (const auto& name : detail::model_names)
      if (tensor.name == name.in(from)) {
        tensor.name = name.rwkv_lm;
        break;
      }
    const auto split = detail::split_block(from, tensor.name);
    const std::string prefix = split ? "blocks." + std::to_string(split->block) + "." : "";
    if (split && detail::is_stacked_mix(from, split->rest, tensor)) {
      const std::vector<index_t> shape{1, 1, tensor.shape.back()};
      const auto row = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]);
      for (std::size_t i = 0; i < static_cast<std::size_t>(tensor.shape[0]); ++i)
        result.push_back({prefix + std::string(detail::stacked_mix[i]), tensor.type, shape, dense_strides(shape),
                          tensor.bytes.subspan(i * row, row)});
      continue;
    }
    if (split && from == naming::gguf && split->block == 0 && split->rest.starts_with("time_mix_v") &&
        split->rest != "time_mix_value.weight")
      continue;
    if (split)
      for (const auto& name : detail::block_names)
        if (split->rest == name.in(from)) {
          detail::to_rwkv_lm_layout(name.how, head_size, tensor);
          tensor.name = prefix + std::string(name.rwkv_lm);
          break;
        }
    result.push_back(std::move(tensor));
  }
  file.tensors = std::move(result);
  diagnosis problem;
  detail::finish_tensors(file, problem);
  return problem;
}

/// Tensors, and the bytes of those that are in no file.
struct renamed_tensors {
  std::vector<stored_tensor> tensors{};
  std::deque<std::vector<std::byte>> made{};
};

namespace detail {

/// A dense copy as f32.
inline stored_tensor made_of(const stored_tensor& from, renamed_tensors& owner) {
  const auto count = static_cast<std::size_t>(from.size());
  std::vector<std::byte> stored(count * sizeof(float)), bytes(count * sizeof(float));
  unpack(from, stored.data());
  const weights<1> values(stored.data(), unpacked_type(from.type).value_or(dtype::f32), {from.size()});
  for (std::size_t i = 0; i < count; ++i) {
    const auto x = static_cast<float>(values(static_cast<index_t>(i)));
    std::memcpy(bytes.data() + i * sizeof x, &x, sizeof x);
  }
  return {from.name, storage::f32, from.shape, dense_strides(from.shape), owner.made.emplace_back(std::move(bytes))};
}

/// A tensor of RWKV-LM's layout in that of another scheme.
inline void from_rwkv_lm_layout(naming to, layout how, stored_tensor& t) {
  const auto flatten = [&] {  // axes of extent 1 before the last, or a dense tensor
    t.strides = {t.strides.back()};
    t.shape = {t.size()};
  };
  if (how == layout::low_rank && t.shape.size() == 2) to_rwkv_lm_layout(how, 0, t);
  if (how == layout::deep || (how == layout::deep_hf && to == naming::gguf)) flatten();
  if (how == layout::heads && to == naming::gguf && t.dense()) flatten();
}

}  // namespace detail

/// The way back, from a checkpoint in RWKV-LM's names. GGUF also gets what llama.cpp needs: vectors as f32, and the
/// value mix of block 0, as copies of a0, a1, a2. Values are exact; a tensor the scheme has no name
/// for is a complaint.
inline renamed_tensors from_rwkv_lm(const std::vector<stored_tensor>& tensors, naming to, diagnosis& problem) {
  renamed_tensors result;
  const auto add = [&](stored_tensor tensor, const std::string& name) {
    tensor.name = name;
    if (to == naming::gguf && tensor.shape.size() < 2 && tensor.type != storage::f32)
      tensor = detail::made_of(tensor, result);
    result.tensors.push_back(std::move(tensor));
  };
  const auto prefix_of = [&](std::size_t block) {
    return std::string(detail::block_prefix(to)) + std::to_string(block) + ".";
  };
  std::map<std::size_t, std::map<std::string_view, const stored_tensor*>> mixes;  // of each block, for GGUF
  for (auto tensor : tensors) {
    const auto given = tensor.name;
    const auto split = detail::split_block(naming::rwkv_lm, given);
    const detail::parameter_name* known = nullptr;
    for (const auto& name : detail::model_names)
      if (name.rwkv_lm == given) known = &name;
    if (to == naming::rwkv_lm || known) {
      add(std::move(tensor), to == naming::rwkv_lm ? given : std::string(known->in(to)));
      continue;
    }
    for (const auto& name : detail::block_names)
      if (split && name.rwkv_lm == split->rest) known = &name;
    if (!known) {
      problem.complain("rwkv7::checkpoint: %s: has no name in that scheme", detail::shown(given, 60).c_str());
      return {};
    }
    if (split->block == 0 && known->rwkv_lm.starts_with("att.v") && known->rwkv_lm.size() == 6) continue;  // unused
    detail::from_rwkv_lm_layout(to, known->how, tensor);
    if (to == naming::gguf && known->gguf.empty()) {
      const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == given; });
      mixes[split->block][known->rwkv_lm] = &*at;
      continue;
    }
    if (to == naming::gguf && split->block == 0 && known->gguf.starts_with("time_mix_a"))
      add(tensor, prefix_of(0) + "time_mix_v" + std::string(known->gguf.substr(10)));
    add(std::move(tensor), prefix_of(split->block) + std::string(known->in(to)));
  }
  for (const auto& [block, rows] : mixes) {
    std::vector<std::byte> bytes;
    index_t C = 0;
    for (const auto& name : detail::stacked_mix) {
      const auto row = rows.find(name);
      if (row == rows.end()) continue;
      C = row->second->size();
      renamed_tensors scratch;
      const auto wide = detail::made_of(*row->second, scratch);
      bytes.insert(bytes.end(), wide.bytes.begin(), wide.bytes.end());
    }
    const std::vector<index_t> shape{static_cast<index_t>(rows.size()), 1, 1, C};
    const std::span<const std::byte> kept = result.made.emplace_back(std::move(bytes));
    result.tensors.push_back(
        {prefix_of(block) + std::string(detail::stacked_mix_gguf), storage::f32, shape, dense_strides(shape), kept});
  }
  return result;
}

}  // namespace rwkv7
